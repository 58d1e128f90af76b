"""A transcript as Markdown. Every text is inside a quotation, so that none can forge a heading of another speaker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from gemma_notebook.transcript.neutral_markdown import escaped, fenced, neutral, one_line
from gemma_notebook.transcript.record import Entry, Transcript

__all__ = ["body", "document"]


def document(transcript: Transcript) -> str:
    """The whole: what the chat was, and its messages."""
    facts = [f"- Model: {one_line(transcript.model)}"]
    if transcript.date is not None:
        facts.append(f"- Date: {transcript.date.isoformat(sep=' ', timespec='minutes')}")
    facts += [
        f"- {one_line(str(name))}: {one_line(str(value))}"
        for name, value in transcript.options.items()
        if value is not None
    ]
    parts = [
        f"# Chat with {one_line(transcript.model)}",
        "\n".join(facts),
        *_messages(transcript, numbers=True),
    ]
    return "\n\n".join(parts) + "\n"


def body(transcript: Transcript) -> str:
    """The messages alone, the same each time the same is said."""
    return "\n\n".join(_messages(transcript, numbers=False)) + "\n"


def _messages(transcript: Transcript, *, numbers: bool) -> Iterator[str]:
    if transcript.system_instruction:
        yield "### System instruction"
        yield _quoted(escaped(transcript.system_instruction))
    for entry in transcript.entries:
        yield from _entry(entry, transcript.model, numbers=numbers)


def _entry(entry: Entry, model: str, *, numbers: bool) -> Iterator[str]:
    if entry.role == "user":
        yield "### You"
        yield _quoted(escaped(entry.text))
        if entry.parts:
            yield f"*{attached(entry)}*"
        return
    yield f"### {one_line(speaker(model))}"
    if entry.thinking:
        yield "Thinking:"
        yield _quoted(fenced(entry.thinking, "text"))
    for call in entry.tool_calls:
        yield f"Tool: {one_line(call.name)}"
        yield _quoted(fenced(shown_json(call.arguments), "json"))
        if call.result is not None:
            yield _quoted(fenced(shown_json(call.result), "json"))
    if entry.text:
        yield _quoted(neutral(entry.text))
    notes = list(remarks(entry, numbers=numbers))
    if notes:
        yield f"*{one_line(' · '.join(notes))}*"


def _quoted(markdown: str) -> str:
    # At the ends of lines that Markdown knows, and no others: within a code span such a one would end the span.
    return "\n".join(f"> {line}".rstrip() for line in re.split(r"\r\n?|\n", markdown))


def speaker(model: str) -> str:
    """The model's name as a speaker's, which is not mistaken for the user's."""
    return f"{model} (model)" if model.strip().casefold() in ("", "you", "system instruction") else model


def shown_json(value: object) -> str:
    """What a tool was given or gave."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


_ENDINGS = {
    "length": "Ended at the output limit",
    "cancelled": "Stopped",
    "context_full": "Ended because the context is full",
}


def attached(entry: Entry) -> str:
    """What went with a message besides its text."""
    kinds = [part["type"] for part in entry.parts]
    counts = ((kinds.count("image"), "image"), (kinds.count("audio"), "sound"))
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)


def remarks(entry: Entry, *, numbers: bool) -> Iterator[str]:
    """What is to be said about a reply besides its text, as the panel says it."""
    if entry.finish_reason in _ENDINGS:
        yield _ENDINGS[entry.finish_reason]
    if entry.error is not None:
        yield f"Failed: {entry.error}"
    if entry.trimmed_turns:
        turns = "turn was" if entry.trimmed_turns == 1 else f"{entry.trimmed_turns} turns were"
        yield f"The oldest {turns} forgotten to make room"
    if not numbers:
        return
    if entry.timing is not None:
        if entry.timing.time_to_first_token_s is not None:
            yield f"{entry.timing.time_to_first_token_s:.2f} s to first token"
        if entry.timing.decode_tokens_per_s is not None:
            yield f"{entry.timing.decode_tokens_per_s:.1f} tokens/s"
    if entry.usage is not None:
        yield f"{entry.usage.prompt_tokens} + {entry.usage.output_tokens} tokens"
