"""The rules of the shim, as C cases under AddressSanitizer, UBSan, ThreadSanitizer and valgrind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from c_programs import BUILDS, CASES

# The first case of a build waits for the compiler.
pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("build", BUILDS)
def test_case(build: str, case: str, failures_in: Callable[[str], dict[str, str]]) -> None:
    failure = failures_in(build).get(case)
    assert failure is None, failure


@pytest.mark.parametrize("build", BUILDS)
def test_nothing_is_reported_at_the_end(build: str, failures_in: Callable[[str], dict[str, str]]) -> None:
    failure = failures_in(build).get("")
    assert failure is None, failure
