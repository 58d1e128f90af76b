"""Looking into model files: what is in a good one, and no harm from any other."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_lm_builder.litertlm_builder import LitertLmFileBuilder

from gemma_notebook.models.container import Container, read_container
from gemma_notebook.models.resolve import resolve_model

TINY = resolve_model("tiny")
GOOD = TINY.read_bytes()
HEADER_END = struct.unpack_from("<Q", GOOD, 24)[0]

METADATA = """
start_token { token_ids { ids: 2 } }
stop_tokens { token_ids { ids: 1 ids: 106 } }
stop_tokens { token_str: "<end_of_turn>" }
prompt_templates {
  user { prefix: "<start_of_turn>user\\n" suffix: "<end_of_turn>\\n" }
  model { prefix: "<start_of_turn>model\\n" }
}
sampler_params { type: TOP_P k: 64 p: 0.95 temperature: 1.0 seed: 0 }
max_num_tokens: 4096
llm_model_type { gemma4 { } }
jinja_prompt_template: "{{ bos_token }}"
channels { channel_name: "thought" start: "<think>" end: "</think>" is_reasoning_channel: true }
min_runtime_version: "0.18.0"
"""

RICH = """
[system_metadata]
entries = [
  { key = "Authors", value_type = "String", value = "the test" },
  { key = "count", value_type = "UInt64", value = 12345678901 },
  { key = "ratio", value_type = "Float32", value = 0.5 },
]
[[section]]
section_type = "LlmMetadata"
data_path = "metadata.pbtext"
[[section]]
section_type = "HF_Tokenizer"
data_path = "tokenizer.json"
[[section]]
section_type = "TFLiteModel"
model_type = "prefill_decode"
backend_constraint = "gpu, npu"
data_path = "weights"
[[section]]
section_type = "TFLiteModel"
model_type = "vision_encoder"
data_path = "weights"
[[section]]
section_type = "TFLiteModel"
model_type = "audio_frontend"
data_path = "weights"
"""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Container:
    """What we read of a file that the vendor's own tool has made."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "metadata.pbtext").write_text(METADATA)
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}}))
    (folder / "weights").write_bytes(b"TFL3" * 100)
    (folder / "model.toml").write_text(RICH)
    path = folder / "rich.litertlm"
    with path.open("wb") as file:
        LitertLmFileBuilder.from_toml_file(str(folder / "model.toml")).build(file)
    return read_container(path)


def test_the_bundled_model_is_read_as_the_engine_reads_it():
    container = read_container(TINY)
    assert container.problems == []
    assert container.abilities == ["chat", "tools", "thinking"]
    assert container.context_tokens == 2048
    assert container.tokenizer == {"kind": "SentencePiece", "pieces": 1003, "model": "bpe"}
    assert container.stop_tokens == [1, 5]
    assert container.template.startswith("{#- How a chat with Tiny is written.")
    assert [section.part for section in container.sections] == ["", "", "", "prefill_decode"]
    assert container.sections[-1].end == container.size_bytes == len(GOOD)


def test_everything_that_a_file_can_say_is_read(rich: Container):
    assert rich.problems == []
    assert rich.metadata["Authors"] == "the test"
    assert rich.metadata["count"] == 12345678901
    assert rich.metadata["ratio"] == 0.5
    assert rich.model_type == "gemma4"
    assert rich.abilities == ["chat", "tools", "thinking", "vision", "audio"]
    assert rich.context_tokens == 4096
    assert rich.start_token == "2"
    assert rich.stop_tokens == [1, 106, "<end_of_turn>"]
    assert rich.sampler == {"type": "top_p", "top_k": 64, "top_p": 0.95, "temperature": 1.0}
    assert rich.channels == [{"name": "thought", "start": "<think>", "end": "</think>", "is_reasoning": True}]
    assert rich.prompt_affixes["user"] == ("<start_of_turn>user\n", "<end_of_turn>\n")
    assert rich.minimum_engine == "0.18.0"
    assert rich.tokenizer == {"kind": "Hugging Face", "pieces": 2, "model": "bpe"}
    assert rich.backend_constraints == {"prefill_decode": "gpu, npu"}


@pytest.mark.parametrize(
    "tokenizer",
    [[], "a text", {"model": None}, {"model": []}, {"model": {"vocab": 3}}, {"model": {"vocab": None}}],
)
def test_a_tokenizer_that_is_json_and_none_is_a_problem_and_no_traceback(tmp_path, tokenizer):
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "model.toml").write_text(
        '[[section]]\nsection_type = "HF_Tokenizer"\ndata_path = "tokenizer.json"\n'
    )
    path = tmp_path / "model.litertlm"
    with path.open("wb") as file:
        LitertLmFileBuilder.from_toml_file(str(tmp_path / "model.toml")).build(file)
    assert any("tokenizer is damaged: it is no tokenizer" in one for one in read_container(path).problems)


def test_lists_that_share_their_elements_do_not_make_work_without_end(tmp_path):
    header = bytearray(4)

    def put(content: bytes) -> int:
        header.extend(content)
        header.extend(b"\0" * (-len(header) % 4))
        return len(header) - -(-len(content) // 4) * 4

    def link(place: int, target: int) -> None:
        struct.pack_into("<I", header, place, target - place)

    def table(*offsets: int) -> int:
        """Fields of four bytes; 0 leaves one out."""
        described = put(
            struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), 4 + 4 * len(offsets), *offsets)
        )
        made = put(bytes(4 + 4 * len(offsets)))
        struct.pack_into("<i", header, made, made - described)
        return made

    def list_of_one(place: int, *offsets: int) -> int:
        """A list, to which ``place`` leads, of one table, 200 times."""
        made = put(struct.pack("<I", 200) + bytes(800))
        link(place, made)
        element = table(*offsets)
        for at in range(made + 4, made + 804, 4):
            link(at, element)
        return element

    root = table(0, 8)
    link(0, root)
    listing = table(4)
    link(root + 8, listing)
    section = list_of_one(listing + 4, 4)
    pair = list_of_one(section + 4, 4, 8, 12)
    header[pair + 8] = 9  # its value is a string
    value = table(4)
    link(pair + 12, value)
    text = put(struct.pack("<I", 60_000) + b"k" * 60_000)
    link(pair + 4, text)
    link(value + 4, text)
    content = b"LITERTLM" + struct.pack("<IIIIQ", 1, 5, 0, 0, 32 + len(header)) + bytes(header)
    assert any("more than 10000 tables" in one for one in damaged(tmp_path, content).problems)


def damaged(tmp_path: Path, content: bytes) -> Container:
    path = tmp_path / "damaged.litertlm"
    path.write_bytes(content)
    return read_container(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with b''"),
        (b"LITERTLM", "ends within its first 32 bytes"),
        (b"GGUF" * 100, "begins with b'GGUFGGUF'"),
        (GOOD[:HEADER_END], "is cut off"),
        (GOOD[:100_000], "prefill_decode) is cut off"),
        (GOOD[:24] + struct.pack("<Q", 2**63) + GOOD[32:], "should end at byte"),
        (GOOD[:24] + struct.pack("<Q", 40) + GOOD[32:], "the header is damaged"),
        (GOOD[:32] + b"\xff" * (HEADER_END - 32) + GOOD[HEADER_END:], "the header is damaged"),
        (GOOD[:32] + b"\0" * (HEADER_END - 32) + GOOD[HEADER_END:], ""),
        (GOOD[:16_384] + b"\xff" * 700 + GOOD[17_084:], "metadata is damaged"),
        (GOOD[:49_152] + b"\xff" * 9000 + GOOD[58_152:], "tokenizer is damaged"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: bytes, words: str):
    problems = damaged(tmp_path, content).problems
    assert problems
    assert words in "; ".join(problems)


def test_a_tokenizer_that_would_end_the_engines_process_is_recognised(tmp_path: Path):
    place = GOOD.index(b"<start_of_turn>", 49_152)
    problems = damaged(tmp_path, GOOD[:place] + b"\0" + GOOD[place + 1 :]).problems
    assert any("contains NUL" in problem for problem in problems)


def test_a_section_in_another_one_is_not_read_again(tmp_path: Path):
    path = tmp_path / "overlapping.litertlm"
    begin = struct.pack("<Q", 32_768)
    assert GOOD[:HEADER_END].count(begin) == 1
    path.write_bytes(GOOD[:HEADER_END].replace(begin, struct.pack("<Q", 16_384)) + GOOD[HEADER_END:])
    assert any("lies in another section" in problem for problem in read_container(path).problems)
    assert read_container(TINY).problems == []


# The header and the small sections: the weights are not looked at.
LOOKED_AT = st.integers(0, HEADER_END - 1) | st.integers(16_384, 17_088) | st.integers(32_768, 58_870)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(LOOKED_AT, st.integers(0, 255)), min_size=1, max_size=20))
def test_no_flipped_byte_does_harm(tmp_path_factory, changes):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "flipped.litertlm"
    path.write_bytes(content)
    assert isinstance(read_container(path), Container)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD)))
def test_no_cut_does_harm(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.litertlm"
    path.write_bytes(GOOD[:length])
    container = read_container(path)
    assert bool(container.problems) == (length < len(GOOD))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_no_header_does_harm(tmp_path_factory, header):
    path = tmp_path_factory.getbasetemp() / "header.litertlm"
    path.write_bytes(GOOD[:24] + struct.pack("<Q", 32 + len(header)) + header)
    assert read_container(path).problems
