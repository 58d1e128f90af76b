"""Stage "pack": model, tokenizer, chat template and stop tokens become one .litertlm file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(request: dict[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """Pack ``tflite`` with the tokenizer in the folder ``model`` and write ``file``."""
    import litert_lm_builder as builder

    progress("writing the file")
    folder, file = Path(request["model"]), Path(request["file"])
    metadata = file.with_suffix(".metadata.pb")
    metadata.write_bytes(_metadata(request, folder))
    bundle = builder.LitertLmFileBuilder()
    bundle.add_system_metadata(
        builder.Metadata(key="Authors", value="gemma_notebook", dtype=builder.DType.STRING)
    )
    bundle.add_llm_metadata(str(metadata))
    if (folder / "tokenizer.model").is_file():
        bundle.add_sentencepiece_tokenizer(str(folder / "tokenizer.model"))
    else:
        bundle.add_hf_tokenizer(str(folder / "tokenizer.json"))
    bundle.add_tflite_model(request["tflite"], builder.TfLiteModelType.PREFILL_DECODE)
    with file.open("wb") as opened:
        bundle.build(opened)
    metadata.unlink()
    return {"size_bytes": file.stat().st_size}


def _metadata(request: dict[str, Any], folder: Path) -> bytes:
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    begin, ends = begin_and_ends(folder)
    proto = llm_metadata_pb2.LlmMetadata(max_num_tokens=request["context_tokens"])
    if begin is not None:
        proto.start_token.token_ids.ids.append(begin)
    for end in ends:
        proto.stop_tokens.add().token_ids.ids.append(end)
    for text in request["stops"]:
        proto.stop_tokens.add().token_str = text
    proto.llm_model_type.generic_model.SetInParent()
    proto.jinja_prompt_template = request["template"]
    serialized: bytes = proto.SerializeToString()
    return serialized


def begin_and_ends(folder: Path) -> tuple[int | None, list[int]]:
    """The ids of the token that begins a text, and of those that end one."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = [config, config.get("text_config", {})]
    generation = folder / "generation_config.json"
    if generation.is_file():
        found.insert(0, json.loads(generation.read_text(encoding="utf-8")))
    begin = next((one["bos_token_id"] for one in found if one.get("bos_token_id") is not None), None)
    ends: set[int] = set()
    for one in found:
        value = one.get("eos_token_id")
        ends.update(value if isinstance(value, list) else [value] if value is not None else [])
    return begin, sorted(ends)
