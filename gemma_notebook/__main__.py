"""``python -m gemma_notebook``: the command ``gemma-notebook``, also where scripts are not on the PATH."""

from __future__ import annotations

from gemma_notebook.cli import main

if __name__ == "__main__":
    main()
