"""The compiled ``_shim`` with as much comfort as tests need."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Shim:
    """The shim on one library and one model file."""

    def __init__(self, module: Any, library: Path, model: Path) -> None:
        self.ffi = module.ffi
        self.lib = module.lib
        self.model = model
        self.error = self.ffi.new("gn_error *")
        self.api = self.lib.gn_api_open(os.fsencode(library), self.error)
        assert self.api, self.reason()

    def reason(self) -> str:
        return str(self.ffi.string(self.error.message), "utf-8")

    def make_engine(self, **options: Any) -> Any:
        path = self.ffi.new("char[]", os.fsencode(self.model))
        backend = self.ffi.new("char[]", b"cpu")
        given = self.ffi.new("gn_engine_options *", {"model_path": path, "backend": backend, **options})
        engine = self.lib.gn_engine_create(self.api, given, self.error)
        assert engine, self.reason()
        return engine

    def make_conversation(
        self, engine: Any, messages: list[dict[str, Any]] | None = None, **given: Any
    ) -> Any:
        unset = dict.fromkeys(
            ("enable_thinking", "constraint_provider", "filter_channel_content", "stream_tool_calls"), -1
        )
        options = self.ffi.new("gn_conversation_options *", {**unset, **given})
        if messages is not None:
            history = self.ffi.new("char[]", json.dumps(messages).encode())
            options.messages_json = history
        conversation = self.lib.gn_conversation_create(self.api, engine, options, self.error)
        assert conversation, self.reason()
        return conversation

    def send(self, conversation: Any, text: str) -> Any:
        message = json.dumps({"role": "user", "content": [{"type": "text", "text": text}]}).encode()
        stream = self.lib.gn_conversation_send_stream(
            self.api, conversation, message, self.ffi.NULL, self.error
        )
        assert stream, self.reason()
        return stream

    def read(self, stream: Any) -> tuple[list[str], str | None]:
        """The texts of all chunks, and the error; releases the stream."""
        batch = self.ffi.new("gn_batch *")
        texts: list[str] = []
        while not batch.ended:
            assert self.lib.gn_stream_take(stream, 20.0, batch) == 1
            texts += self.texts(batch)
        error = self.ffi.string(batch.error).decode() if batch.error else None
        self.lib.gn_stream_release(stream)
        return texts, error

    def texts(self, batch: Any) -> list[str]:
        """The texts of the chunks in a batch."""
        chunks = bytes(self.ffi.buffer(batch.data, batch.size)).split(b"\0")[:-1]
        return [json.loads(chunk)["content"][0]["text"] for chunk in chunks]

    def ask(self, conversation: Any, text: str) -> str:
        texts, error = self.read(self.send(conversation, text))
        assert error is None
        return "".join(texts)

    def delete(self, *objects: Any) -> None:
        for one in objects:
            is_engine = self.ffi.typeof(one) is self.ffi.typeof("LiteRtLmEngine *")
            (self.lib.gn_engine_delete if is_engine else self.lib.gn_conversation_delete)(self.api, one)
