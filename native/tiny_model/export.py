"""Export a checkpoint as a .litertlm bundle: int8 weights, tokenizer, chat template and stop tokens."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import tokenizer
import tokenizers
import tools
import torch
import train
import transformers
from google.protobuf import text_format
from litert_lm_builder.runtime.proto import llm_metadata_pb2
from litert_torch.generative.export_hf import export as litert_export

BUNDLE = Path(__file__).parents[2] / "gemma_notebook" / "models" / "tiny" / "model.litertlm"
TEMPLATE = Path(__file__).parent / "chat_template.jinja"
PREFILL_LENGTHS = [32, 128, 512]


def metadata() -> str:
    """Describe to the engine how a chat is written and where a reply ends."""
    proto = llm_metadata_pb2.LlmMetadata(max_num_tokens=train.CONTEXT)
    proto.start_token.token_str = "<bos>"  # noqa: S105
    for token in (tokenizer.EOS, tokenizer.END_OF_TURN):
        proto.stop_tokens.add().token_ids.ids.append(token)
    calls = proto.llm_model_type.qwen3
    calls.code_fence_start, calls.code_fence_end = tools.CALL_START, tools.CALL_END
    calls.escape_fence_strings = True
    thought = proto.channels.add()
    thought.channel_name, thought.start, thought.end = "thought", "<think>", tokenizer.END_OF_THOUGHT
    thought.is_reasoning_channel = True
    proto.supports_thinking = proto.supports_function_calling = True
    proto.jinja_prompt_template = TEMPLATE.read_text(encoding="utf-8").strip()
    return text_format.MessageToString(proto)


def save_for_exporter(checkpoint: Path, folder: Path) -> None:
    """Write the checkpoint in the folder layout that the exporter reads.

    The exporter insists on a Hugging Face tokenizer beside the model; any of the right size will do, since the SentencePiece
    model takes its place in the bundle.
    """
    state = torch.load(checkpoint)["model"]
    model = train.new_model(len(state["model.embed_tokens.weight"]))
    model.load_state_dict(state)
    model.save_pretrained(folder)
    words = {f"<{index}>": index for index in range(model.config.vocab_size)}
    unknown = "<0>"
    placeholder = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token=unknown))
    transformers.PreTrainedTokenizerFast(tokenizer_object=placeholder, unk_token=unknown).save_pretrained(
        folder
    )


def export(checkpoint: Path, bundle: Path) -> None:
    """Convert a checkpoint and put the bundle in its place."""
    work = tokenizer.BUILD / "export"
    shutil.rmtree(work, ignore_errors=True)
    save_for_exporter(checkpoint, work / "model")
    metadata_path = work / "metadata.pbtext"
    metadata_path.write_text(metadata(), encoding="utf-8")
    litert_export.export(
        str(work / "model"),
        str(work / "out"),
        quantization_recipe="dynamic_wi8_afp32",
        prefill_lengths=PREFILL_LENGTHS,
        cache_length=train.CONTEXT,
        use_jinja_template=True,
        bundle_litert_lm=True,
        tokenizer_path_override=str(tokenizer.MODEL_PATH),
        litert_lm_llm_metadata_override=str(metadata_path),
    )
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(work / "out" / "model.litertlm", bundle)
    print(f"{bundle}: {bundle.stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=train.CHECKPOINT)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options = parser.parse_args()
    export(options.checkpoint, options.bundle)
