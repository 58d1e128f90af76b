"""Vision and audio encoders: on the CPU unless told, and refused before the engine meets them where there are none."""

from __future__ import annotations

import pytest

import gemma_notebook as gn
from gemma_notebook.errors import UnsupportedError


def engine_options(fake):
    return {key: value for key, value in fake.options("engine", 1).items() if key.endswith("_backend")}


def test_encoders_run_on_the_cpu_unless_told(fake, make_fake_manager):
    fake.set(info_supports_vision=1, info_supports_audio=1)
    manager = make_fake_manager(vision_backend="gpu")
    assert engine_options(fake) == {"vision_backend": "gpu", "audio_backend": "cpu"}
    assert manager.model.modalities == ("text", "vision", "audio")
    assert manager.create_session(enable_vision_modality=True)


def test_an_encoder_can_be_left_out(fake, make_fake_manager):
    fake.set(info_supports_vision=1)
    manager = make_fake_manager(vision_backend="off")
    assert engine_options(fake) == {}
    assert manager.model.modalities == ("text",)
    with pytest.raises(UnsupportedError, match="vision"):
        manager.create_session(enable_vision_modality=True)


def test_an_encoder_that_the_model_does_not_have_is_refused_when_it_is_loaded():
    with pytest.raises(UnsupportedError, match=r"vision_backend='cpu'.*has none"):
        gn.load(vision_backend="cpu")
    with gn.load(vision_backend="off") as manager:
        assert manager.model.modalities == ("text",)
