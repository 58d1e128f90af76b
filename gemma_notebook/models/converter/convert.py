"""Stage "convert": the weights become a LiteRT model, with integers for weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Prompts are prefilled in pieces of these lengths.
_PREFILL_LENGTHS = [32, 128, 512]


def run(request: dict[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """Convert the folder ``model`` and write ``out``/RECIPE.tflite, quantised with that ``recipe``."""
    out = Path(request["out"])
    exported = out / "float" / "model.tflite"
    if not exported.is_file():
        _export(request, out / "float.partial", progress)
        (out / "float.partial").rename(out / "float")
    progress("rounding the weights")
    partial, quantised = out / "partial.tflite", out / f"{request['recipe']}.tflite"
    _quantise(exported, partial, request["recipe"])
    partial.replace(quantised)
    return {"tflite": str(quantised), "size_bytes": quantised.stat().st_size}


def _export(request: dict[str, Any], folder: Path, progress: Callable[[str], None]) -> None:
    import shutil

    from litert_torch import progress as tasks

    @contextlib.contextmanager
    def told(name: str) -> Iterator[None]:
        progress(name)
        yield

    tasks.task = told  # before the import that decorates the exporter's steps with it
    from litert_torch.generative.export_hf import export

    shutil.rmtree(folder, ignore_errors=True)
    export.export(
        request["model"],
        str(folder),
        quantization_recipe="none",
        prefill_lengths=[length for length in _PREFILL_LENGTHS if length < request["context_tokens"]],
        cache_length=request["context_tokens"],
        bundle_litert_lm=False,
        keep_temporary_files=True,
    )


def _quantise(source: Path, target: Path, recipe: str) -> None:
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer import recipe as recipes

    operation = recipes.TFLOperationName
    if recipe == "int8":
        rules = recipes.dynamic_wi8_afp32()
    elif recipe == "int4":
        # Blocks of 32 with a scale each; the embedding, and the layer that shares its weights, in eight bits.
        rules = (
            recipes.dynamic_wi4b32_afp32(operation_name=operation.FULLY_CONNECTED)
            + recipes.dynamic_wi8c_afp32(regex="logits", operation_name=operation.FULLY_CONNECTED)
            + recipes.dynamic_wi8c_afp32(operation_name=operation.EMBEDDING_LOOKUP)
        )
    else:
        raise ValueError(f"there is no recipe {recipe!r}")
    work = quantizer.Quantizer(str(source))
    work.load_quantization_recipe(rules)
    work.quantize().export_model(str(target), overwrite=True)
