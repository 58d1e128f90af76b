"""A chat as it stands, to look at, to save, and to go on from: Markdown, HTML and JSON."""

from gemma_notebook.transcript.record import Entry, ToolUse, Transcript

__all__ = ["Entry", "ToolUse", "Transcript"]
