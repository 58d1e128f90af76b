"""``%load_ext gemma_notebook``: a chat in cells.

A cell that begins with ``%%gemma`` is a message. Its reply streams where a front end shows the cell, and in the end
the cell holds one output: the reply as Markdown. nbval, nbclient and JupyterLab all see that one, so such a cell can
stand in a regression notebook as it is.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from gemma_notebook.chat import Chat
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.errors import GemmaNotebookError, OptionValueError
from gemma_notebook.harmless import harmless_markdown, printable
from gemma_notebook.loading import load
from gemma_notebook.messages import Reply
from gemma_notebook.models.resolve import TINY
from gemma_notebook.sessions import SessionManager

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from gemma_notebook.panel.widget import ChatPanel
    from gemma_notebook.streams import ReplyStream

__all__ = ["GemmaMagics", "GemmaStatus", "load_ipython_extension", "unload_ipython_extension"]

_VARIABLE = re.compile(r"\{\{(?P<words>[^\W\d]\w*)\}\}|\{(?P<name>[^\W\d]\w*)\}")
# As often as an eye can follow; each update carries the whole text so far.
_REDRAW_S = 0.06


class GemmaStatus(TableDisplay):
    """What ``%gemma_status`` shows: the chat that the next ``%%gemma`` goes on with."""

    def __init__(self, chat: Chat) -> None:
        manager, context = chat.manager, chat.context
        self._rows = (
            ("model", manager.model.name),
            ("turns", len(chat.session.turns)),
            ("context", f"{context.tokens:,} of {context.limit:,} tokens"),
            ("system instruction", chat.options.system_instruction or "none"),
            ("handle", chat.handle_id or "none"),
            ("handles", f"{manager.handles.live} live, {manager.handles.created} created"),
        )

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self._rows)

    def _table(self) -> Table:
        return Table((), self._rows)


@magics_class
class GemmaMagics(Magics):
    """The magics of one shell, and the chats behind them: one per model. From the shell's main thread only."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self._managers: dict[str, SessionManager] = {}
        self._chats: dict[str, Chat] = {}
        self._model = TINY

    @magic_arguments()
    @argument(
        "--fresh", action="store_true", help="forget the chat so far, the model's memory of it included"
    )
    @argument("--into", metavar="NAME", help="keep the reply in a variable")
    @argument("--system", metavar="TEXT", help="begin a chat with this system instruction")
    @argument(
        "--model",
        metavar="NAME",
        help="'tiny', a catalogue name, the path of a .litertlm file, or a variable that holds a manager; "
        "each model has a chat of its own, and stays for the cells that follow",
    )
    @argument("--max-tokens", metavar="N", type=int, help="the longest reply, in tokens")
    @argument("--quiet", action="store_true", help="show nothing")
    @argument("--verbose", action="store_true", help="show the whole traceback of an error")
    @no_var_expand
    @cell_magic
    def gemma(self, line: str, cell: str) -> None:
        """Send the cell to the model, and show the reply.

        Cells go on with one chat until ``--fresh`` or ``%gemma_reset``. ``{name}`` stands for the value of a
        variable, ``{{name}}`` for the word in braces; other braces are left alone.
        """
        arguments = _arguments(self.gemma, line)
        with _told_in_one_line(verbose=arguments.verbose):
            into = self._variable(arguments.into)
            message = self._filled_in(cell.strip("\n"))
            system = None if arguments.system is None else self._filled_in(arguments.system)
            chat = self._chat(arguments.model, system)
            if arguments.fresh:
                chat.reset()
            screen = _Screen(self._shell, quiet=arguments.quiet)
            reply, interrupted = _read(chat.stream(message, max_output_tokens=arguments.max_tokens), screen)
            if into:
                self._shell.user_ns[into] = reply
            screen.end(reply)
            if interrupted:
                raise KeyboardInterrupt("stopped; the chat keeps what had come of the reply")

    @magic_arguments()
    @argument("--model", metavar="NAME", help="the chat of this model; without it that of the last %%%%gemma")
    @argument("--verbose", action="store_true", help="show the whole traceback of an error")
    @no_var_expand
    @line_magic
    def gemma_reset(self, line: str) -> None:
        """Forget the chat: its conversation handle is closed, KV cache and all, before the next is created."""
        arguments = _arguments(self.gemma_reset, line)
        with _told_in_one_line(verbose=arguments.verbose):
            self._chat(arguments.model).reset()

    @magic_arguments()
    @argument("--model", metavar="NAME", help="the chat of this model; without it that of the last %%%%gemma")
    @argument("--verbose", action="store_true", help="show the whole traceback of an error")
    @no_var_expand
    @line_magic
    def gemma_status(self, line: str) -> GemmaStatus:
        """The model, the turns and the context of the chat that the next ``%%gemma`` goes on with."""
        arguments = _arguments(self.gemma_status, line)
        with _told_in_one_line(verbose=arguments.verbose):
            return GemmaStatus(self._chat(arguments.model))

    @magic_arguments()
    @argument("--model", metavar="NAME", help="the chat of this model; without it that of the last %%%%gemma")
    @argument("--verbose", action="store_true", help="show the whole traceback of an error")
    @no_var_expand
    @line_magic
    def gemma_panel(self, line: str) -> ChatPanel:
        """A panel on the chat of the cells: what is said in one is known in the other."""
        from gemma_notebook.panel.widget import ChatPanel

        arguments = _arguments(self.gemma_panel, line)
        with _told_in_one_line(verbose=arguments.verbose):
            return ChatPanel(self._chat(arguments.model))

    def close(self) -> None:
        """Close the models that the magics have loaded; not those that came in variables. Idempotent."""
        while self._managers:
            self._managers.popitem()[1].close()
        self._chats.clear()

    def let_go(self, *_: object) -> None:
        """Close the chats on managers of the user's that no variable of that name holds any more: they would keep the models."""
        for name, chat in tuple(self._chats.items()):
            if (
                self._managers.get(name) is not chat.manager
                and self._shell.user_ns.get(name) is not chat.manager
            ):
                del self._chats[name]
                with suppress(GemmaNotebookError):
                    chat.close()

    # Inside

    def _chat(self, model: str | None, system: str | None = None) -> Chat:
        """The chat of a model, begun anew for another system instruction."""
        name = model or self._model
        manager = self._manager(name)
        self.let_go()
        chat = self._chats.get(name)
        if chat is None or chat.closed or chat.manager is not manager:
            # On a lane of its own: a chat that the user makes in Python must not end this one, nor it that one.
            chat = self._chats[name] = manager.open_chat(system_instruction=system or None)
        elif system is not None and (chat.options.system_instruction or "") != system:
            chat.reset(system_instruction=system or None)
        self._model = name
        return chat

    def _manager(self, name: str) -> SessionManager:
        mine = self._shell.user_ns.get(name)
        if isinstance(mine, SessionManager):
            return mine
        manager = self._managers.get(name)
        if manager is None or manager.closed:
            manager = self._managers[name] = load(name)
        return manager

    def _variable(self, name: str | None) -> str | None:
        if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            raise OptionValueError(f"--into {name!r} is no name of a variable; use letters, digits and _")
        return name

    def _filled_in(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found["words"]:
                return f"{{{found['words']}}}"
            try:
                return str(self._shell.user_ns[found["name"]])
            except KeyError:
                raise OptionValueError(
                    f"there is no variable {found['name']!r} to put in for {found[0]}; assign it in a cell before "
                    f"this one, or write {{{found[0]}}} for the word in braces"
                ) from None

        return _VARIABLE.sub(value, text)


class _Screen:
    """Shows a reply while it comes, and in the end leaves it as the cell's one output.

    While it comes it is a display that begins with no data at all and is then updated. nbval takes no notice of
    updates, and finds nothing to compare in what is empty; everyone else replaces the display by the last output,
    for which it is cleared. In a cell that runs ``%%gemma`` from code there may be other outputs, which a clearing
    would take away: there the reply is shown when it is complete.
    """

    def __init__(self, shell: InteractiveShell, *, quiet: bool) -> None:
        self._quiet = quiet
        self._publisher = shell.display_pub
        self._in_notebook = hasattr(shell, "kernel")
        self._streams = not quiet and (not self._in_notebook or _owns_the_cell(shell))
        self._display_id: str | None = None
        self._drawn_at = 0.0
        self._printed = 0

    def show(self, text: str) -> None:
        """Show the reply so far."""
        if not self._streams:
            return
        if not self._in_notebook:
            print(printable(text[self._printed :]), end="", flush=True)
            self._printed = len(text)
        elif time.monotonic() - self._drawn_at > _REDRAW_S:
            self._draw(text)
            self._drawn_at = time.monotonic()

    def end(self, reply: Reply) -> None:
        """Show the finished reply."""
        if not self._in_notebook and self._streams:
            print(*(f"\n{note}" for note in reply._notes()))
        elif not self._quiet:
            if self._display_id is not None:
                self._publisher.clear_output(wait=True)
            self._publisher.publish({"text/plain": repr(reply), "text/markdown": reply._repr_markdown_()})

    def _draw(self, text: str) -> None:
        data = {"text/plain": text, "text/markdown": harmless_markdown(text)}
        if self._display_id is None:
            self._display_id = f"gemma-{time.monotonic_ns()}"
            self._publisher.publish({}, transient={"display_id": self._display_id})
        self._publisher.publish(data, transient={"display_id": self._display_id}, update=True)


def _read(stream: ReplyStream, screen: _Screen) -> tuple[Reply, bool]:
    """Read a reply to its end, or to an interrupt of the kernel; True for the latter."""
    pieces: list[str] = []
    try:
        for delta in stream:
            pieces.append(delta.text)
            screen.show("".join(pieces))
    except KeyboardInterrupt:
        stream.close()
        return stream.reply, True
    return stream.reply, False


def _owns_the_cell(shell: Any) -> bool:
    with suppress(AttributeError, KeyError, TypeError):
        return str(shell.get_parent()["content"]["code"]).lstrip().startswith("%%gemma")
    return False


@contextmanager
def _told_in_one_line(*, verbose: bool) -> Iterator[None]:
    """Let errors of ours end the cell as errors do, told in one line in place of a traceback."""
    try:
        yield
    except (GemmaNotebookError, KeyboardInterrupt) as error:
        if not verbose:
            line = f"{type(error).__name__}: {error}".removesuffix(": ")
            error._render_traceback_ = lambda: [line]  # type: ignore[union-attr]  # IPython asks the exception
        raise


def _arguments(magic: Any, line: str) -> argparse.Namespace:
    """A magic's arguments, quoted as in a shell: IPython's own splitting leaves the quotes around them.

    Raises:
        UsageError: There is no such argument, or a quotation has no end.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(
            f"{error} in {line!r}; write the words that belong together between two quotes"
        ) from None
    parsed: argparse.Namespace = magic.parser.parse_args(words)
    return parsed


_loaded: dict[int, GemmaMagics] = {}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%load_ext gemma_notebook``."""
    magics = _loaded[id(shell)] = GemmaMagics(shell)
    shell.register_magics(magics)
    shell.events.register("post_run_cell", magics.let_go)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%unload_ext gemma_notebook``, and by ``%reload_ext`` first: closes what the magics have loaded."""
    magics = _loaded.pop(id(shell), None)
    if magics is not None:
        shell.events.unregister("post_run_cell", magics.let_go)
        magics.close()
