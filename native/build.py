"""The cffi builder of ``gemma_notebook.engine._shim``; setup.py runs it.

``python setup.py build_ext --inplace`` puts ``gemma_notebook/engine/_shim.abi3.so`` into the tree.
"""

import re
from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parent
HEADERS = ("shim.h", "internal.h", "litert_lm.h")


def declarations(header: str) -> str:
    """The part of shim.h between its markers, which is plain enough for cdef()."""
    part = re.search(r"/\* cdef: begin \*/(.*)/\* cdef: end \*/", header, re.DOTALL)
    if part is None:
        raise ValueError("native/shim.h has lost its cdef markers")
    return part.group(1)


ffibuilder = FFI()
ffibuilder.cdef(declarations((NATIVE / "shim.h").read_text(encoding="utf-8")))
ffibuilder.set_source(
    "gemma_notebook.engine._shim",
    '#include "shim.h"',
    sources=["native/shim.c", "native/streams.c", "native/logs.c"],
    depends=[f"native/{header}" for header in HEADERS],
    include_dirs=["native"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    py_limited_api=True,
    extra_compile_args=["-std=c11", "-Wall", "-Wextra", "-O2", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
    libraries=["dl"],
)
