"""Turn a bundle back into a checkpoint, to train a model further whose checkpoint is gone.

The weights are those of the bundle, which int8 has rounded; the optimizers begin anew.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import export
import numpy as np
import tokenizer
import torch
import train
from ai_edge_litert.interpreter import Interpreter
from litert_lm_builder import litertlm_peek

# The decoding signature is the one that computes all of the last layer.
_DECODE = "decode"


def _weights(model: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The weights of a TFLite file that `export.py` has made, by their names in the checkpoint."""
    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    graph = list(interpreter.get_signature_list()).index(_DECODE)
    gated = set()
    for tensor in interpreter.get_tensor_details(subgraph_index=graph):
        name, shape = tensor["name"], tuple(tensor["shape"])
        layer = "".join(re.findall(r"DecoderLayer_(\d+)", name)[-1:])
        if tensor["dtype"] == np.int8:
            scales = tensor["quantization_parameters"]["scales"]
            values = interpreter.get_tensor(tensor["index"], graph) * scales[:, None].astype(np.float32)
            kinds = re.findall(r"Linear_(\w+?)_proj", name)
            if not kinds:
                yield "model.embed_tokens.weight", values
                yield "lm_head.weight", values
                continue
            kind = kinds[-1]
            if kind == "gate" and layer not in gated:  # both are named so; the other one comes first
                gated.add(layer)
                kind = "up"
            block = "self_attn" if kind in "qkvo" else "mlp"
            yield f"model.layers.{layer}.{block}.{kind}_proj.weight", values
        elif tensor["dtype"] == np.float32 and len(shape) == 1 and "RMSNorm_" in name:
            kind = re.findall(r"RMSNorm_(\w+)", name)[-1]
            values = interpreter.get_tensor(tensor["index"], graph) - 1  # the graph has 1 + weight
            place = "self_attn." if kind in ("q_norm", "k_norm") else ""
            yield (
                ("model.norm.weight" if kind == "norm" else f"model.layers.{layer}.{place}{kind}.weight"),
                values,
            )


def import_bundle(bundle: Path, checkpoint: Path, step: int) -> None:
    """Write the checkpoint, and the bundle's tokenizer where training looks for it."""
    with tempfile.TemporaryDirectory() as folder:
        litertlm_peek.peek_litertlm_file(str(bundle), folder, io.StringIO())
        (pieces,) = Path(folder).glob("*.spiece")
        (model,) = Path(folder).glob("*.tflite")
        tokenizer.BUILD.mkdir(exist_ok=True)
        tokenizer.MODEL_PATH.write_bytes(pieces.read_bytes())
        state = {name: torch.tensor(values) for name, values in _weights(model)}
    train.new_model(len(state["model.embed_tokens.weight"])).load_state_dict(
        state
    )  # all there, of the right sizes
    torch.save({"model": state, "step": step}, checkpoint)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", type=int, help="where in the training run the bundle was exported")
    parser.add_argument("--bundle", type=Path, default=export.BUNDLE)
    parser.add_argument("--checkpoint", type=Path, default=train.CHECKPOINT)
    options = parser.parse_args()
    import_bundle(options.bundle, options.checkpoint, options.step)
