"""Look into a ``.litertlm`` file without the engine: what is in it, and what is wrong with it.

A container begins with ``LITERTLM``, three version numbers and, at byte 24, where its header ends. The header is
a FlatBuffer with metadata and a list of sections; the sections hold protocol buffers (how to talk to the model,
how to run it), a tokenizer, and the model's parts. Written from the format as ``litert-lm-builder`` 0.18 writes
it. Files come from anywhere: whatever is in one, reading it ends with a :class:`Container`.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from gemma_notebook.models.flatbuffer import DamagedError, Table, root_table
from gemma_notebook.models.protobuf import Message

__all__ = ["Container", "Section", "read_container", "tool_call_start"]

_MAGIC = b"LITERTLM"
_HEADER_START = 32
_MOST_HEADER_BYTES = 1 << 20
_MOST_SECTION_BYTES = 1 << 26
_MOST_TOKENIZER_BYTES = 1 << 28

_KINDS = {
    0: "nothing", 1: "data", 2: "deprecated", 3: "model", 4: "SentencePiece tokenizer", 5: "language model's metadata",
    6: "Hugging Face tokenizer", 7: "model's weights", 8: "embedding metadata", 9: "executor's metadata",
    10: "speech metadata", 11: "speech recognition metadata",
}  # fmt: skip
_SENTENCEPIECE, _METADATA, _HUGGING_FACE, _EXECUTOR = 4, 5, 6, 9
_TOKENIZERS = (_SENTENCEPIECE, _HUGGING_FACE)

# The members of the header's union of values, each a table with one field.
_NUMBER_FORMS = {
    1: "<B",
    2: "<b",
    3: "<H",
    4: "<h",
    5: "<I",
    6: "<i",
    7: "<f",
    8: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING = 9

_MODEL_TYPES = {
    1: "generic_model", 2: "gemma3n", 3: "function_gemma", 4: "gemma3", 5: "qwen3", 7: "qwen2p5", 8: "gemma4",
    9: "fast_vlm", 11: "lfm2", 12: "minicpm5", 13: "minicpmv4",
}  # fmt: skip
# The model types that the engine parses tool calls for without being told how.
_TOOL_TYPES = ("function_gemma", "gemma4")
# Where a model type says what its calls begin with (llm_model_type.proto of litert-lm-builder 0.18), and what the engine takes
# when it does not (the text of its library).
_CALL_STARTS = {
    "function_gemma": (5, "<start_function_call>"),
    "qwen3": (1, "<tool_call>"),
    "qwen2p5": (1, "<tool_call>"),
    "gemma4": (5, "<ctrl42>"),
    "lfm2": (12, "<|tool_call_start|>"),
    "minicpm5": (1, ""),
}
_SAMPLERS = {0: "unspecified", 1: "top_k", 2: "top_p", 3: "greedy"}
_SENTENCEPIECE_MODELS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a container.

    Attributes:
        kind: What it holds, in words.
        part: Which part of the model it is (``prefill_decode``, ``vision_encoder``, …), or ``""``.
        begin: The first byte, from the beginning of the file.
        end: The byte after the last.
        metadata: Its own metadata, such as ``backend_constraint``.
        problem: What is wrong with it, or ``""``.
    """

    kind: str
    part: str
    begin: int
    end: int
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return max(0, self.end - self.begin)


@dataclass(slots=True)
class Container:
    """What a file says of itself; fields that it does not tell are empty.

    Attributes:
        path: The file.
        size_bytes: Its size.
        version: The version of the format.
        metadata: Who made it, and when.
        sections: What is in it.
        model_type: How the engine talks to the model: ``gemma3``, ``gemma4``, ``generic_model``, …
        context_tokens: How many tokens a conversation can hold; 0 when it says nothing.
        start_token: The token that begins a conversation.
        stop_tokens: The tokens that end a reply: ids, or texts.
        template: The chat template, Jinja.
        prompt_affixes: What stands before and after each role's text, in files without a template.
        sampler: The sampler that the makers recommend.
        channels: Channels besides the reply, each with its markers.
        tool_call_start: What the model writes before a call, or ``""``.
        tokenizer: Its kind, number of pieces and model.
        abilities: ``chat``, and of ``tools``, ``thinking``, ``vision``, ``audio`` those that it is made for.
        backend_constraints: The backends that a part needs, by part.
        minimum_engine: The least engine version that it asks for, or ``""``.
        problems: What is wrong with it, in words; empty when nothing was found.
    """

    path: Path
    size_bytes: int = 0
    version: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    model_type: str = ""
    context_tokens: int = 0
    start_token: str = ""
    stop_tokens: list[int | str] = field(default_factory=list)
    template: str = ""
    prompt_affixes: dict[str, tuple[str, str]] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    channels: list[dict[str, Any]] = field(default_factory=list)
    tool_call_start: str = ""
    tokenizer: dict[str, Any] = field(default_factory=dict)
    abilities: list[str] = field(default_factory=list)
    backend_constraints: dict[str, str] = field(default_factory=dict)
    minimum_engine: str = ""
    problems: list[str] = field(default_factory=list)


def read_container(path: str | os.PathLike[str], *, tokenizer: bool = True) -> Container:
    """Read what a ``.litertlm`` file says of itself. Never loads the model; a damaged file is told, not raised.

    Args:
        path: The file.
        tokenizer: Read the tokenizer, too, which for a large one takes a second.

    Raises:
        OSError: It cannot be opened.

    Example:
        >>> read_container("model.litertlm").abilities
        ['chat']
    """
    container = Container(Path(path))
    with container.path.open("rb") as file:
        container.size_bytes = os.fstat(file.fileno()).st_size
        try:
            header = _header(container, file)
            _read_system(container, header)
            sections = _read_sections(container, header)
        except (DamagedError, OSError) as error:
            container.problems.append(f"the header is damaged: {error}")
            return container
        for (kind, section), before in zip(sections, _read_before(sections), strict=True):
            if section.begin < before and not section.problem:
                container.problems.append(f"the {section.kind} lies in another section")
            elif section.problem:
                container.problems.append(section.problem)
            elif kind in _READERS and (tokenizer or kind not in _TOKENIZERS):
                _read_one(container, file, kind, section)
    _conclude(container)
    return container


def tool_call_start(path: str) -> str:
    """What a model writes before a call, as its file says; ``""`` when that cannot be read. A file is read once."""
    try:
        about = Path(path).stat()
        return _tool_call_start(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache
def _tool_call_start(path: str, _size_bytes: int, _changed_ns: int) -> str:
    return read_container(path, tokenizer=False).tool_call_start


def _header(container: Container, file: BinaryIO) -> Table:
    start = file.read(_HEADER_START)
    if start[: len(_MAGIC)] != _MAGIC:
        raise DamagedError(
            f"it begins with {start[:8]!r} and not with {_MAGIC!r}, so it is no .litertlm file"
        )
    if len(start) < _HEADER_START:
        raise DamagedError("it ends within its first 32 bytes")
    *version, _, end = struct.unpack_from("<IIIIQ", start, len(_MAGIC))
    container.version = ".".join(map(str, version))
    if not _HEADER_START < end <= min(container.size_bytes, _MOST_HEADER_BYTES):
        raise DamagedError(f"its header should end at byte {end}, of {container.size_bytes}")
    return root_table(file.read(end - _HEADER_START))


def _read_before(sections: list[tuple[int, Section]]) -> list[int]:
    """For each section where the others that begin before it end: nothing is read twice."""
    ends, end = {}, 0
    for place in sorted(range(len(sections)), key=lambda place: sections[place][1].begin):
        ends[place] = end
        end = max(end, sections[place][1].end)
    return [ends[place] for place in range(len(sections))]


def _read_system(container: Container, header: Table) -> None:
    system = header.table(0)
    if system is not None:
        container.metadata = _key_values(system.tables(0))


def _read_sections(container: Container, header: Table) -> list[tuple[int, Section]]:
    listing = header.table(1)
    sections = [
        _section(container, index, one) for index, one in enumerate(listing.tables(0) if listing else ())
    ]
    container.sections = [section for _, section in sections]
    if not sections:
        container.problems.append("it has no sections")
    return sections


def _section(container: Container, index: int, table: Table) -> tuple[int, Section]:
    metadata = _key_values(table.tables(0))
    begin, end, kind = int(table.number(1, "<Q")), int(table.number(2, "<Q")), int(table.number(3, "<B"))
    part = str(metadata.pop("model_type", "")).removeprefix("tf_lite_")
    name = _KINDS.get(kind, f"kind {kind}")
    problem = ""
    if not begin <= end <= container.size_bytes:
        what = "is cut off" if begin <= end else "ends before it begins"
        problem = f"section {index} ({part or name}) {what}: bytes {begin} to {end} of {container.size_bytes}"
    return kind, Section(name, part, begin, end, metadata, problem)


def _key_values(pairs: list[Table]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        kind, holder = int(pair.number(1, "<B")), pair.table(2)
        if holder is None:
            continue
        if kind == _STRING:
            values[pair.text(0)] = holder.text(0)
        elif kind in _NUMBER_FORMS:
            values[pair.text(0)] = holder.number(0, _NUMBER_FORMS[kind])
    return values


def _read_one(container: Container, file: BinaryIO, kind: int, section: Section) -> None:
    try:
        if section.size_bytes > _MOST_SECTION_BYTES:
            raise DamagedError(f"{section.size_bytes} bytes are too many for one")
        file.seek(section.begin)
        _READERS[kind](container, file.read(section.size_bytes))
    except (DamagedError, OSError, zlib.error, ValueError, RecursionError, MemoryError) as error:
        container.problems.append(f"the {section.kind} is damaged: {error}")


def _read_metadata(container: Container, data: bytes) -> None:
    message = Message(data)
    for token in message.messages(1):
        container.start_token = token.text(2) or ", ".join(map(str, _token_ids(token)))
    for token in message.messages(2):
        container.stop_tokens += _token_ids(token) or [token.text(2)]
    for affixes in message.messages(3):
        for number, role in ((1, "user"), (2, "model"), (3, "system")):
            for affix in affixes.messages(number):
                container.prompt_affixes[role] = affix.text(1), affix.text(2)
    for sampler in message.messages(4):
        container.sampler = {
            "type": _SAMPLERS.get(sampler.integer(1), "unknown"),
            "top_k": sampler.integer(2),
            "top_p": round(sampler.real(3), 6),
            "temperature": round(sampler.real(4), 6),
        }
    container.context_tokens = message.integer(5)
    for kind in message.messages(6):
        for number in kind.numbers():
            container.model_type = _MODEL_TYPES.get(number, f"type {number}")
            place, usual = _CALL_STARTS.get(container.model_type, (0, ""))
            told = [one.text(place) for one in kind.messages(number)] if place else []
            container.tool_call_start = next(filter(None, told), usual)
    container.template = message.text(7)
    for channel in message.messages(8):
        container.channels.append(
            {
                "name": channel.text(1),
                "start": channel.text(2),
                "end": channel.text(3),
                "is_reasoning": bool(channel.integer(4)),
            }
        )
    container.minimum_engine = message.text(14)
    if message.integer(12) or container.model_type in _TOOL_TYPES:
        container.abilities.append("tools")
    if message.integer(11) or any(channel["is_reasoning"] for channel in container.channels):
        container.abilities.append("thinking")


def _token_ids(token: Message) -> list[int | str]:
    return [number for ids in token.messages(1) for number in ids.integers(1)]


def _read_sentencepiece(container: Container, data: bytes) -> None:
    message = Message(data)
    kind = next((trainer.integer(3, 1) for trainer in message.messages(2)), 1)
    container.tokenizer = {
        "kind": "SentencePiece",
        "pieces": message.count(1),
        "model": _SENTENCEPIECE_MODELS.get(kind, "unknown"),
    }
    for piece in message.messages(1):
        if "\0" in piece.text(1):  # "darts.h: failed to build double-array" (measured)
            container.problems.append(
                "a piece of the tokenizer contains NUL: the engine would end its process over it"
            )
            break


def _read_hugging_face(container: Container, data: bytes) -> None:
    import json

    announced = int.from_bytes(data[:8], "little")
    if announced > _MOST_TOKENIZER_BYTES:
        raise DamagedError(f"it would be {announced} bytes unpacked")
    unpacked = zlib.decompressobj().decompress(data[8:], _MOST_TOKENIZER_BYTES)
    if len(unpacked) != announced:
        raise DamagedError(f"it is {len(unpacked)} bytes unpacked, and should be {announced}")
    tokenizer = json.loads(unpacked)
    model = tokenizer.get("model", {}) if isinstance(tokenizer, dict) else None
    pieces = model.get("vocab", ()) if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(pieces, dict | list | tuple):
        raise DamagedError("it is no tokenizer: there is no model with a vocabulary in it")
    container.tokenizer = {
        "kind": "Hugging Face",
        "pieces": len(pieces),
        "model": str(model.get("type", "unknown")).lower(),
    }


def _read_executor(container: Container, data: bytes) -> None:
    for executor in Message(data).messages(1):
        container.context_tokens = container.context_tokens or executor.integer(1)


_READERS: dict[int, Callable[[Container, bytes], None]] = {
    _METADATA: _read_metadata,
    _SENTENCEPIECE: _read_sentencepiece,
    _HUGGING_FACE: _read_hugging_face,
    _EXECUTOR: _read_executor,
}


def _conclude(container: Container) -> None:
    parts = {section.part for section in container.sections}
    kinds = {section.kind for section in container.sections}
    if "prefill_decode" in parts or "artisan_text_decoder" in parts:
        container.abilities.insert(0, "chat")
    for ability in ("vision", "audio"):
        if any(part.startswith(ability) for part in parts):
            container.abilities.append(ability)
    for section in container.sections:
        if "backend_constraint" in section.metadata:
            container.backend_constraints[section.part or section.kind] = str(
                section.metadata["backend_constraint"]
            )
    if container.sections:
        for kind in (_KINDS[3], _KINDS[_METADATA]):
            if kind not in kinds:
                container.problems.append(f"it has no {kind}")
        if not kinds & {_KINDS[_SENTENCEPIECE], _KINDS[_HUGGING_FACE]}:
            container.problems.append("it has no tokenizer")
