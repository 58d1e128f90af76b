"""What the README promises runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_six_lines_run_and_the_reset_forgets():
    (lines,) = re.findall(r"## Six lines of Python\n\n```python\n(.*?)```", README, re.DOTALL)
    assert len(lines.splitlines()) == 6
    output = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "Ada" in output[0]
    assert "Ada" not in output[1]
    assert output[1].endswith("HandleCounts(created=2, closed=1, live=1, checkpoints=0)")


def test_every_local_link_of_the_documents_leads_somewhere():
    for document in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{document}: {target}"
