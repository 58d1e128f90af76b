"""A stand-in for liblitert-lm: the same symbols, told how to behave, unforgiving about misuse.

fake_engine.h says what it can be told and asked.
"""

from .build import build_fake_engine
from .control import FakeEngine

__all__ = ["FakeEngine", "build_fake_engine"]
