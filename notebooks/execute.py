"""Run notebooks and keep their outputs: ``python notebooks/execute.py [notebook ...]``, all of them without arguments,
the templates of `gemma-notebook new` included.

What differs from run to run is left out: times, the Python's version, and views of widgets that live no longer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> None:
    """Run a notebook in its own folder, in a kernel of its own, and write it back."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
    ).execute()
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(
        [*HERE.glob("*/*.ipynb"), *HERE.parent.glob("gemma_notebook/testing/templates/*.ipynb")]
    ):
        print(path)
        execute(path)
