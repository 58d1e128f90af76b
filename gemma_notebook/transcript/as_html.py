"""A transcript as HTML: a part of a page, for notebooks, and a page of its own. Nothing in it runs or is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape

from gemma_notebook.displays import NO_MATHS
from gemma_notebook.transcript.as_markdown import attached, remarks, shown_json, speaker
from gemma_notebook.transcript.markdown_html import render_html
from gemma_notebook.transcript.record import Entry, Transcript

__all__ = ["fragment", "page"]

_STYLE = """\
.gn-transcript{max-width:60rem;font-family:var(--jp-content-font-family,system-ui,sans-serif);line-height:1.5}
.gn-transcript .gn-said{margin:0 0 1.2em;overflow-wrap:anywhere}
.gn-transcript .gn-who{margin:0 0 .2em;font-size:.85em;font-weight:600;opacity:.75}
.gn-transcript .gn-plain{white-space:pre-wrap}
.gn-transcript .gn-you .gn-plain{padding:.5em .9em;border-radius:.8em;background:rgba(100,130,220,.14)}
.gn-transcript pre{margin:.6em 0;padding:.7em .9em;overflow-x:auto;border:1px solid rgba(128,128,128,.4);\
border-radius:.5em;background:none;white-space:pre}
.gn-transcript code{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:.92em}
.gn-transcript .gn-scroll{overflow-x:auto}
.gn-transcript table{width:max-content;border-collapse:collapse;font-size:.95em}
.gn-transcript :is(th,td){padding:.3em .7em;border:1px solid rgba(128,128,128,.4);vertical-align:top;max-width:22rem;overflow-wrap:normal}
.gn-transcript :is(h3,h4,h5,h6){margin:1.1em 0 .4em;font-size:1.1em;line-height:1.3}
.gn-transcript blockquote{margin:.6em 0;padding:0;padding-inline-start:.9em;border:0;border-inline-start:3px solid rgba(128,128,128,.5)}
.gn-transcript .gn-note{margin:.3em 0 0;font-size:.85em;opacity:.75}
.gn-transcript .gn-error{color:#c62828;opacity:1}
.gn-transcript dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1em;margin:0 0 1.5em;font-size:.9em}
.gn-transcript dd{margin:0}
"""
_PAGE_STYLE = (
    "body{margin:2rem auto;max-width:60rem;padding:0 1rem;font-family:system-ui,sans-serif}\nh1{font-size:1.5em}\n"
    + _STYLE
)


def fragment(transcript: Transcript) -> str:
    """The messages, to stand in a page such as a notebook's; the same each time the same is said.

    The class names keep MathJax away, which follows links that TeX asks for.
    """
    said = "\n".join(_messages(transcript, numbers=False))
    return f"<style>{_STYLE}</style>\n{_block(said)}"


def page(transcript: Transcript) -> str:
    """A page of its own, with a policy that allows its style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_PAGE_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    said = "\n".join((_facts(transcript), *_messages(transcript, numbers=True)))
    title = f"Chat with {escape(transcript.model)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_PAGE_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{_block(said)}
</main>
</body>
</html>
"""


def _block(content: str) -> str:
    return f'<div class="gn-transcript {NO_MATHS}">\n{content}\n</div>\n'


def _facts(transcript: Transcript) -> str:
    facts = {"Model": transcript.model}
    if transcript.date is not None:
        facts["Date"] = transcript.date.isoformat(sep=" ", timespec="minutes")
    facts |= {str(name): str(value) for name, value in transcript.options.items() if value is not None}
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _messages(transcript: Transcript, *, numbers: bool) -> Iterator[str]:
    if transcript.system_instruction:
        yield _said("system", "System instruction", _plain(transcript.system_instruction))
    for entry in transcript.entries:
        if entry.role == "user":
            note = f'<p class="gn-note">{attached(entry)}</p>\n' if entry.parts else ""
            yield _said("you", "You", _plain(entry.text) + note)
        else:
            yield _said("reply", speaker(transcript.model), "".join(_reply(entry, numbers=numbers)))


def _said(kind: str, who: str, content: str) -> str:
    return f'<div class="gn-said gn-{kind}">\n<p class="gn-who">{escape(who)}</p>\n{content}</div>'


def _plain(text: str) -> str:
    return f'<div class="gn-plain" dir="auto">{escape(text)}</div>\n'


def _reply(entry: Entry, *, numbers: bool) -> Iterator[str]:
    if entry.thinking:
        yield f"<details><summary>Thinking</summary>\n{_plain(entry.thinking)}</details>\n"
    for call in entry.tool_calls:
        result = "" if call.result is None else f"<pre>{escape(shown_json(call.result))}</pre>"
        arguments = f"<pre>{escape(shown_json(call.arguments))}</pre>"
        yield f"<details><summary>Tool: {escape(call.name)}</summary>\n{arguments}{result}</details>\n"
    yield render_html(entry.text)
    notes = " · ".join(remarks(entry, numbers=numbers))
    if notes:
        kind = "gn-note gn-error" if entry.error is not None else "gn-note"
        yield f'<p class="{kind}">{escape(notes)}</p>\n'
