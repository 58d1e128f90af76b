"""``gemma-notebook chat``: a chat in the terminal, on the same session manager as in a notebook."""

from __future__ import annotations

import sys

import click

from gemma_notebook.cli.complete import model_names_or_files
from gemma_notebook.cli.tables import is_terminal

__all__ = ["command"]


@click.command("chat")
@click.argument("model", default="tiny", shell_complete=model_names_or_files)
@click.option("--system", "-s", metavar="TEXT", help="What the model should know, or how it should behave.")
@click.option(
    "--temperature", type=float, default=0.8, show_default=True, help="Matters with --top-k above 1."
)
@click.option("--top-k", type=int, default=1, show_default=True, help="1 gives the same reply each time.")
@click.option("--top-p", type=float, help="Choose among tokens that together have this probability.")
@click.option("--seed", "random_seed", type=int, default=1, show_default=True, help="Of the sampler.")
@click.option("--max-output-tokens", type=int, help="The longest reply, in tokens.")
@click.option("--context-tokens", type=int, help="The context to reserve; less takes less memory.")
@click.option("--threads", type=int, help="CPU threads; by default the cores that this process may use.")
@click.option(
    "--backend", type=click.Choice(["auto", "cpu", "gpu", "npu"]), default="auto", show_default=True
)
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False),
    help="Keep compiled weights in this directory: the next load is faster, and all take less memory.",
)
@click.option(
    "--stats", is_flag=True, help="Say after each reply how long it took and how full the context is."
)
def command(
    model: str,
    *,
    system: str | None,
    temperature: float,
    top_k: int,
    top_p: float | None,
    random_seed: int,
    max_output_tokens: int | None,
    context_tokens: int | None,
    threads: int | None,
    backend: str,
    cache_dir: str | None,
    stats: bool,
) -> None:
    """Talk to MODEL: a name from `gemma-notebook models list --installed`, or a .litertlm file.

    Ctrl-C stops a reply and not the chat; Ctrl-D or /quit ends it, and /help lists the rest.

    \b
    Each line of a pipe is one message (or a command; a message that begins with / is written with
    a second one), and only the replies are printed:
      echo "My name is Ada." | gemma-notebook chat
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.cli.talk import talk
    from gemma_notebook.loading import load

    interactive = is_terminal(sys.stdin)
    if interactive:
        click.echo(f"loading {model} …", err=True)
    with load(
        model, backend=backend, context_tokens=context_tokens, threads=threads, cache_dir=cache_dir
    ) as manager:
        chat = manager.create_chat(
            system_instruction=system,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            random_seed=random_seed,
            max_output_tokens=max_output_tokens,
        )
        talk(chat, interactive=interactive, stats=stats)
