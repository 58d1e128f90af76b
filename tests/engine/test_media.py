"""The bundled model takes no images and no sound, and says so before anything is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gemma_notebook.attachments import content_parts
from gemma_notebook.errors import UnsupportedError


def test_the_bundled_model_refuses_before_a_file_is_read(real_manager, monkeypatch):
    def read(self):
        raise AssertionError("a file was read")

    monkeypatch.setattr(Path, "read_bytes", read)
    for given in (__file__, "cat.png", "voice.wav", np.zeros((2, 2)), (np.zeros(16_000), 16_000)):
        with pytest.raises(UnsupportedError, match="the model 'tiny' takes no (images|sound)"):
            content_parts([given], model=real_manager.model, vision=True, audio=True)
