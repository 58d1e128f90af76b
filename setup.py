"""The two parts of the build that pyproject.toml cannot say: the compiled shim and the panel's JavaScript."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPyWithPanel(build_py):
    """Bundles the panel first when that has not been done, so that no wheel is made without it."""

    def run(self) -> None:
        if not Path("gemma_notebook/panel/static/widget.js").exists():
            subprocess.run(["npm", "ci"], cwd="js", check=True)
            subprocess.run(["npm", "run", "build"], cwd="js", check=True)
        super().run()


setup(
    cffi_modules=["native/build.py:ffibuilder"],
    cmdclass={"build_py": BuildPyWithPanel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
