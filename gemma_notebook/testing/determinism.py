"""The same words each time."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Self

from gemma_notebook import _determinism

__all__ = ["Determinism", "deterministic"]


class Determinism:
    """What :func:`deterministic` returns: leaving its ``with`` block, or :meth:`end`, gives the choice back."""

    def __init__(self, fixed: _determinism.Fixed, seed: int) -> None:
        self._seed = seed
        self._random_state = random.getstate()
        self._before: _determinism.Fixed | None = _determinism.fix(fixed)

    def __repr__(self) -> str:
        state = "holds" if self._before is not None else "ended"
        return f"deterministic(seed={self._seed}), which {state}"

    def end(self) -> None:
        """Sessions may sample again, and clocks run. Idempotent."""
        if self._before is not None:
            _determinism.fix(self._before)
            self._before = None
            random.setstate(self._random_state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def deterministic(*, seed: int = 1) -> Determinism:
    """From here on every run gives the same: for the first cell of a regression notebook, or for ``with``.

    Every session that is made is greedy and has the seed, whatever it asks for; ``reply.timing`` and the times of
    ``manager.events`` are zero; ``random``, and NumPy's global generator if NumPy is loaded, are seeded. It holds
    for the whole process, its threads included, until its end or that of the ``with`` block.

    Example:
        >>> with deterministic():
        ...     manager.create_chat(temperature=1.5, top_k=40).send("Hello").text
        'Hello! What can I do for you?'
    """
    options = {"top_k": 1, "top_p": None, "random_seed": seed}
    held = Determinism(_determinism.Fixed(options, clock=True), seed)
    random.seed(seed)
    seed_numpy: Callable[[int], None] | None = getattr(sys.modules.get("numpy.random"), "seed", None)
    if seed_numpy is not None:
        seed_numpy(seed)
    return held
