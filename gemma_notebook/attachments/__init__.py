"""Images and sounds as people have them, made into what the engine takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from gemma_notebook._paths import expanded
from gemma_notebook.attachments import pictures, sounds
from gemma_notebook.attachments.kinds import Kind, guess_kind, sniff
from gemma_notebook.attachments.parts import ContentPart
from gemma_notebook.errors import OptionTypeError, OptionValueError, UnsupportedError
from gemma_notebook.messages import ModelInfo

__all__ = ["ContentPart", "content_parts"]

# More than any picture or sound within the other limits takes.
_MOST_BYTES = 256 * 1024 * 1024

_MOST_SHOWN = 120

_WHAT_CAN_BE_ATTACHED = (
    "attach a path, the bytes of an image or sound file, a PIL image, a Matplotlib figure, a NumPy array, "
    "or for sound a pair (samples, sample_rate)"
)


def content_parts(
    attachments: Sequence[Any], *, model: ModelInfo, vision: bool, audio: bool
) -> tuple[ContentPart, ...]:
    """What was attached to a message, as the engine takes it. Thread-safe.

    An image becomes a PNG or JPEG of at most 1,536 pixels a side, upright and without transparency, a sound
    16 kHz mono WAV. A file that is that already is passed on as it is, and needs no further library.

    Args:
        attachments: Each one a path, the bytes of a file, a PIL image, a Matplotlib figure, a NumPy array (height x
            width, or with 1, 3 or 4 colours last; uint8, or floats from 0 to 1), for sound a pair
            ``(samples, sample_rate)``, or an object with ``name`` and ``data``.
        model: What the model takes.
        vision: Whether the chat takes images.
        audio: Whether the chat takes sounds.

    Raises:
        UnsupportedError: The model or the chat takes none of the kind, seen before a file is read; or
            Pillow, soundfile or soxr is needed and missing.
        OptionTypeError: It is nothing that can be attached.
        OptionValueError: It is missing, empty, broken or too large.

    Example:
        >>> content_parts(["cat.png"], model=manager.model, vision=True, audio=False)
        (ContentPart(kind='image', media_type='image/png', name='cat.png'),)
    """
    one = isinstance(attachments, str | bytes | bytearray | memoryview | os.PathLike)
    if one or not isinstance(attachments, Sequence) or _is_sound(attachments):
        several = isinstance(attachments, Iterator | AbstractSet | ValuesView)
        hint = "make it one with list(…)" if several else "write attachments=[…] around it"
        raise OptionTypeError(f"attachments must be a list, not one {type(attachments).__name__}; {hint}")
    takes = _Takes(model, {"image": vision, "audio": audio})
    return tuple(_part(one, f"attachments[{place}]", takes) for place, one in enumerate(attachments))


class _Takes:
    """Which kinds a chat takes, and the reason against the others."""

    def __init__(self, model: ModelInfo, on: dict[Kind, bool]) -> None:
        encoders: dict[Kind, bool] = {
            "image": "vision" in model.modalities,
            "audio": "audio" in model.modalities,
        }
        self._model = model.name
        self._encoders = encoders
        self._on = on

    def check(self, kind: Kind | None, name: str) -> None:
        """Refuse a kind that the chat does not take; an unknown one only if it takes none at all."""
        kinds: tuple[Kind, ...] = ("image", "audio") if kind is None else (kind,)
        reasons = [reason for one in kinds if (reason := self._against(one))]
        if len(reasons) == len(kinds):
            raise UnsupportedError(f"{name} cannot be attached: {reasons[0]}")

    def _against(self, kind: Kind) -> str | None:
        things, modality = ("images", "vision") if kind == "image" else ("sound", "audio")
        if not self._encoders[kind]:
            return (
                f"the model {self._model!r} takes no {things}, or was loaded without its {modality} encoder; leave it "
                f"out, or load a model that does (`gemma-notebook models list` names some)"
            )
        if not self._on[kind]:
            return (
                f"this chat has enable_{modality}_modality=False; leave it out, or begin a chat without that"
            )
        return None


def _part(given: object, place: str, takes: _Takes) -> ContentPart:
    if isinstance(given, bytes | bytearray | memoryview):
        return _of_bytes(bytes(given), "", place, takes)
    if isinstance(given, str | os.PathLike):
        return _of_path(given, place, takes)
    if _is_a(given, "PIL.Image", "Image") or _is_a(given, "matplotlib.figure", "Figure"):
        takes.check("image", place)
        return pictures.from_object(given, place)
    if _is_a(given, "numpy", "ndarray"):
        takes.check("image", place)
        return pictures.from_array(given, place)
    if isinstance(given, tuple) and len(given) == 2:
        takes.check("audio", place)
        return sounds.from_samples(*given, place)
    name, data = getattr(given, "name", None), getattr(given, "data", None)
    if isinstance(name, str) and isinstance(data, bytes):
        takes.check(guess_kind(name, getattr(given, "media_type", None)), _shown(name, place))
        return _of_bytes(data, name, _shown(name, place), takes)
    raise OptionTypeError(f"{place} is of type {type(given).__name__}; {_WHAT_CAN_BE_ATTACHED}")


def _is_sound(given: object) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int | float)


def _is_a(given: object, module: str, name: str) -> bool:
    """Whether it is of that class. A library that nobody has imported has made no objects."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(given, kind)


def _of_path(given: str | os.PathLike[Any], place: str, takes: _Takes) -> ContentPart:
    shown = _shown(str(given), place)
    if str(given).startswith(("http://", "https://")):
        raise OptionValueError(
            f"{shown} is an address, and nothing is fetched here; download it, attach the file"
        )
    if str(given).startswith("data:"):
        raise OptionValueError(
            f"{shown} is a data URL; attach the bytes that it holds: base64.b64decode(url.partition(',')[2])"
        )
    path = expanded(os.fsdecode(given))
    takes.check(guess_kind(path.name), shown)
    try:
        if path.is_dir():
            raise OptionValueError(f"{shown} is a directory; attach the files in it one by one")
        if not path.exists():
            raise OptionValueError(f"there is no file {shown} in {str(Path.cwd())!r}; check the path")
        if not path.is_file():
            raise OptionValueError(f"{shown} is no ordinary file; attach an image or sound file")
        size = path.stat().st_size
        if size <= _MOST_BYTES:
            return _of_bytes(path.read_bytes(), path.name, shown, takes)
    except OSError as error:
        raise OptionValueError(
            f"{shown} cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    raise OptionValueError(
        f"{shown} has {size:,} bytes and {_MOST_BYTES:,} can be read; attach a smaller one"
    )


def _of_bytes(data: bytes, name: str, shown: str, takes: _Takes) -> ContentPart:
    takes.check(None, shown)
    if not data:
        raise OptionValueError(f"{shown} is empty; attach an image or sound file")
    kind, media_type = sniff(data, shown)
    takes.check(kind, shown)
    read = pictures.from_file if kind == "image" else sounds.from_file
    return read(data, media_type, name, shown)


def _shown(name: str, place: str) -> str:
    """A name that errors can carry: names of files are untrusted, and may be long."""
    if not name:
        return place
    return repr(
        name if len(name) <= _MOST_SHOWN else f"{name[: _MOST_SHOWN // 2]}…{name[-_MOST_SHOWN // 2 :]}"
    )
