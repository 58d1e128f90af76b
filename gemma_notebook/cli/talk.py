"""A chat at a terminal: what is typed, what streams back, what the keys do."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator

import click

from gemma_notebook.chat import Chat
from gemma_notebook.errors import GemmaNotebookError, OptionValueError
from gemma_notebook.harmless import printable
from gemma_notebook.messages import Reply
from gemma_notebook.streams import ReplyStream

__all__ = ["talk"]

_PROMPT = "You: "
_HELP = """\
/reset        forget everything: the conversation's memory is freed
/undo         take back the last message and its reply
/regenerate   answer the last message again
/context      how full the context is
/help         this list
/quit         end (also Ctrl-D)
Ctrl-C stops a reply. A message that begins with / is written with a second one: //like this."""


def talk(chat: Chat, *, interactive: bool, stats: bool = False) -> None:
    """Read messages until the input ends, and print the replies as they come.

    Args:
        chat: The chat.
        interactive: A person types: show a prompt, and go on after an error. Else a file or a pipe is
            read: one message a line, nothing but replies is printed, and an error ends it.
        stats: Say after each reply how long it took and how full the context is.

    Raises:
        GemmaNotebookError: A message failed, and nobody types.
    """
    conversation = _Conversation(chat, interactive=interactive, stats=stats)
    if interactive:
        _line_editing()
        name = chat.manager.model.name
        click.echo(f"{name}, {chat.context.limit:,} tokens of context. /help lists the commands.", err=True)
    for line in _lines(interactive=interactive):
        try:
            if not conversation.take(line):
                return
        except KeyboardInterrupt:  # in the moment before the reply began
            if not interactive:
                raise
            click.echo()
        except GemmaNotebookError as error:
            if not interactive or chat.closed:
                raise
            click.echo(f"error: {error}", err=True)


class _Conversation:
    """What each line does."""

    def __init__(self, chat: Chat, *, interactive: bool, stats: bool) -> None:
        self._chat = chat
        self._interactive = interactive
        self._stats = stats
        self._commands: dict[str, Callable[[], object]] = {
            "/reset": self._reset,
            "/undo": self._undo,
            "/regenerate": self._regenerate,
            "/context": self._context,
            "/help": lambda: self._say(_HELP),
        }

    def take(self, line: str) -> bool:
        """Do what a line says; False when it says that this was the last."""
        text = line.strip()
        if text in ("/quit", "/exit"):
            return False
        if text.startswith("//"):
            self._send(text[1:])
        elif text.startswith("/"):
            known = self._commands.get(text)
            if known is None:
                self._refuse(text.split()[0])
            else:
                known()
        elif text:
            self._send(text)
        return True

    def _refuse(self, command: str) -> None:
        words = f"there is no command {command}; /help lists them, and a message that begins with / is written with a second one"
        if not self._interactive:  # else the replies would be one fewer than the messages
            raise OptionValueError(words)
        self._say(words)

    def _send(self, text: str) -> None:
        self._show(self._chat.stream(text))

    def _show(self, replying: ReplyStream) -> None:
        name = self._chat.manager.model.name
        with replying as stream:
            if self._interactive:
                click.secho(f"{name}: ", nl=False, bold=True)
            try:
                for delta in stream:
                    click.echo(printable(delta.text), nl=False)
            except KeyboardInterrupt:
                if not self._interactive:
                    raise
                stream.close()
            reply = stream.reply
        click.echo()
        self._remark(reply)

    def _remark(self, reply: Reply) -> None:
        remarks = {
            "cancelled": "stopped; what there is of the reply stays in the chat",
            "length": "cut at the limit of tokens",
            "context_full": "the context is full; /reset starts over",
        }
        if reply.trimmed_turns:
            turns = "turn was" if reply.trimmed_turns == 1 else f"{reply.trimmed_turns} turns were"
            self._say(f"the oldest {turns} dropped to make room")
        if reply.finish_reason in remarks:
            self._say(remarks[reply.finish_reason])
        if self._stats:
            self._say(_stats(reply))

    def _reset(self) -> None:
        self._chat.reset()
        self._say("forgotten; the memory of the conversation is freed")

    def _undo(self) -> None:
        self._say(f"taken back: {self._chat.undo().text}")

    def _regenerate(self) -> None:
        self._show(self._chat._stream_again())

    def _context(self) -> None:
        context = self._chat.context
        self._say(f"{context.tokens:,} of {context.limit:,} tokens are in use")

    def _say(self, words: str) -> None:
        # On stderr: what is piped on is what the model said.
        click.echo(click.style(f"({words})" if "\n" not in words else words, dim=True), err=True)


def _stats(reply: Reply) -> str:
    timing, usage = reply.timing, reply.usage
    parts = [f"{usage.output_tokens} tokens in {timing.total_s:.1f} s"]
    if timing.time_to_first_token_s is not None:
        parts.append(f"the first after {timing.time_to_first_token_s:.2f} s")
    if timing.decode_tokens_per_s is not None:
        parts.append(f"then {timing.decode_tokens_per_s:.0f} a second")
    parts.append(f"context {usage.context_tokens:,} of {usage.context_limit:,}")
    return ", ".join(parts)


def _lines(*, interactive: bool) -> Iterator[str]:
    if not interactive:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # what is no UTF-8 is refused in words
        for place, line in enumerate(sys.stdin or ()):  # None where it was closed before
            if any("\udc80" <= character <= "\udcff" for character in line):
                raise OptionValueError(
                    f"line {place + 1} of the input is not UTF-8; convert it, for instance by iconv -t UTF-8"
                )
            yield line if place else line.removeprefix("\ufeff")  # as editors of some systems begin a file
        return
    while True:
        try:
            yield input(_PROMPT)
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:  # at the prompt: a fresh line, as in a shell
            click.echo()


def _line_editing() -> None:
    with contextlib.suppress(ImportError):  # some builds of Python have none
        import readline

        readline.set_auto_history(True)
