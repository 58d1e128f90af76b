"""Groups of subcommands that are imported when they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose subcommands are modules of one package.

    Args:
        name: The group's name.
        package: The package with a module per subcommand, ``-`` in a name being ``_`` there. Each has a
            click command named ``command``.
        commands: The names of the subcommands, in the order of the help.
        **settings: Click's.
    """

    def __init__(self, name: str, *, package: str, commands: Iterable[str], **settings: Any) -> None:
        super().__init__(name, **settings)
        self._package = package
        self._names = tuple(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._names:
            return None
        module = import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], self._names, n=1) if args else []
        if near and args[0] not in self._names:
            ctx.fail(f"No such command {args[0]!r}; did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)
