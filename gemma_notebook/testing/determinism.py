"""The same words each time."""

from __future__ import annotations

import random
import sys
from typing import Any, Self

from gemma_notebook import _determinism
from gemma_notebook.options import SessionOptions

__all__ = ["Determinism", "deterministic"]


_latest: Determinism | None = None


class Determinism:
    """What :func:`deterministic` returns: leaving its ``with`` block, or :meth:`end`, gives the choice back."""

    _in_block = False

    def __init__(self, fixed: _determinism.Fixed, seed: int) -> None:
        global _latest  # noqa: PLW0603
        self._seed = seed
        self._previous = _latest
        self._random_state = _generators()
        self._before: _determinism.Fixed | None = _determinism.fix(fixed)
        self._outer = self._before, self._random_state
        replaced = self._previous
        self._replaced: Determinism | None = None
        if replaced is not None and replaced._before is not None and not replaced._in_block:
            self._before, self._random_state = replaced._before, replaced._random_state
            self._previous, self._replaced, replaced._replaced = replaced._previous, replaced, None
        _latest = self

    def __repr__(self) -> str:
        state = "holds" if self._before is not None else "ended"
        return f"deterministic(seed={self._seed}), which {state}"

    def end(self) -> None:
        """Sessions may sample again, and clocks run. Idempotent."""
        global _latest  # noqa: PLW0603
        if self._before is not None:
            _determinism.fix(self._before)
            self._before = None
            _set_generators(self._random_state)
            if _latest is self:
                _latest = self._previous

    def __enter__(self) -> Self:
        if self._before is not None:  # not what takes the place of the call before, then
            self._before, self._random_state = self._outer
            self._previous, self._replaced = self._replaced or self._previous, None
        self._in_block = True
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def deterministic(*, seed: int = 1) -> Determinism:
    """From here on every run gives the same: for the first cell of a regression notebook, or for ``with``.

    Every session that is made is greedy and has the seed, whatever it asks for; ``reply.timing`` is 0 s in all and
    says nothing else, and the times of ``manager.events`` are zero; ``random``, and NumPy's global generator if NumPy is
    loaded, are seeded. It holds for the whole process, its threads included, until its end or that of the ``with``
    block. Called again, as in a cell that runs again, it takes the place of the call before; in a ``with`` block what
    held before comes back after it.

    Raises:
        OptionTypeError, OptionValueError: ``seed`` cannot be a session's ``random_seed``.

    Example:
        >>> with deterministic():
        ...     manager.create_chat(temperature=1.5, top_k=40).send("Hello").text
        'Hello! What can I do for you?'
    """
    seed = SessionOptions(random_seed=seed).random_seed  # checked before anything is fixed, and Python's own
    options = {"top_k": 1, "top_p": None, "random_seed": seed}
    held = Determinism(_determinism.Fixed(options, clock=True), seed)
    random.seed(seed)
    if "numpy" in sys.modules:  # which loads its generator only when it is used
        import numpy.random

        numpy.random.seed(seed)  # noqa: NPY002
    return held


def _generators() -> tuple[Any, Any]:
    """Where the global generators stand, Python's and NumPy's."""
    numpy = sys.modules.get("numpy.random")
    return random.getstate(), None if numpy is None else numpy.get_state()


def _set_generators(states: tuple[Any, Any]) -> None:
    random.setstate(states[0])
    if states[1] is not None:
        sys.modules["numpy.random"].set_state(states[1])
