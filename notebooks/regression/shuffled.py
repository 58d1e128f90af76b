"""Print the regression notebooks in a random order."""

import random
from pathlib import Path

print(*random.sample(paths := sorted(Path(__file__).parent.glob("*.ipynb")), len(paths)))
