"""New notebooks, from templates that are tests already."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

from gemma_notebook._paths import expanded
from gemma_notebook.errors import GemmaNotebookError, OptionValueError
from gemma_notebook.options import encodable_text

__all__ = ["KINDS", "new_notebook"]

KINDS = ("regression", "teaching")
_TEMPLATES = Path(__file__).with_name("templates")
_TITLE = "TITLE"


def new_notebook(kind: str, name: str, folder: str | os.PathLike[str] = ".") -> Path:
    """Write a notebook that runs, and passes nbval, as it is.

    Args:
        kind: ``"regression"`` (tell, ask, reset, ask again, each output a reference) or ``"teaching"`` (goals,
            steps, questions, a summary).
        name: Its title; the file is named after it.
        folder: Where to write it.

    Returns:
        The file that was written.

    Raises:
        OptionValueError: Another kind, a name without letters, or a folder that is not there.
        GemmaNotebookError: The file is there already, or cannot be written.

    Example:
        >>> new_notebook("regression", "Names are forgotten")
        PosixPath('names-are-forgotten.ipynb')
    """
    if kind not in KINDS:
        raise OptionValueError(f"unknown kind of notebook {kind!r}; use one of {', '.join(map(repr, KINDS))}")
    title = " ".join(encodable_text("name", name).removesuffix(".ipynb").split())
    slug = re.sub(r"[\W_]+", "-", title.lower()).strip("-")
    if not slug:
        raise OptionValueError(f"{name!r} has no letters to name a file after; give a title")
    if not expanded(folder).is_dir():
        raise OptionValueError(f"there is no folder {str(folder)!r} to write into; make it first")
    path = expanded(folder) / f"{slug}.ipynb"
    template = (_TEMPLATES / f"{kind}.ipynb").read_text(encoding="utf-8")
    # A title is words: nothing in it may become a heading, a link or HTML of the page.
    words = re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", title)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.replace(_TITLE, json.dumps(words, ensure_ascii=False)[1:-1]))
    except FileExistsError:
        raise GemmaNotebookError(f"{str(path)!r} is there already; give another name") from None
    except OSError as error:
        remedy = "give a shorter title" if error.errno == errno.ENAMETOOLONG else "give another folder"
        raise GemmaNotebookError(f"{str(path)!r} cannot be written ({error.strerror}); {remedy}") from None
    return path
