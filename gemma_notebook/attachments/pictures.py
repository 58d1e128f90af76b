"""Images: scaled down, upright, without transparency, as PNG or JPEG."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from gemma_notebook.attachments.headers import LONGEST_SIDE, fits
from gemma_notebook.attachments.parts import ContentPart
from gemma_notebook.errors import GemmaNotebookError, OptionTypeError, OptionValueError, UnsupportedError

__all__ = ["from_array", "from_file", "from_object"]

# 240 MB when decoded. Cameras of telephones make up to 200 million, few people send them.
_MOST_PIXELS = 80_000_000
# Those that are common and decoded by a library with its own fuzzing; not the thirty others that Pillow tries.
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
_JPEG_QUALITY = 90
# What Pillow calls them: with more than one picture in it, one is an MPO.
_JPEGS = ("JPEG", "MPO")


def from_file(data: bytes, media_type: str, name: str, shown: str) -> ContentPart:
    """An image file. Where Pillow is installed, it has read every pixel of what is passed on.

    Raises:
        OptionValueError: It is broken or too large.
        UnsupportedError: It must be converted, and Pillow is missing.
    """
    as_it_is = fits(data, media_type, shown)
    passed_on = ContentPart("image", media_type, name, data)
    if as_it_is and importlib.util.find_spec("PIL") is None:
        return passed_on
    image_module = _require_pillow(shown)
    with _readable(shown), image_module.open(io.BytesIO(data), formats=_FORMATS) as image:
        _check_size(image, shown)
        image.draft(None, (LONGEST_SIDE, LONGEST_SIDE))  # a large JPEG is decoded at a fraction of its size
        image.load()
        return passed_on if as_it_is else _encoded(image, name, shown, as_jpeg=image.format in _JPEGS)


def from_object(given: Any, shown: str) -> ContentPart:
    """A PIL image, or a Matplotlib figure as it would be saved.

    Raises:
        OptionValueError: It is empty, closed or too large.
        UnsupportedError: Pillow is missing.
    """
    _require_pillow(shown)
    with _readable(shown):
        if hasattr(given, "savefig"):
            drawn = io.BytesIO()
            given.savefig(drawn, format="png")
            return from_file(drawn.getvalue(), "image/png", "", shown)
        _check_size(given, shown)
        given.load()
        return _encoded(given, "", shown, as_jpeg=given.format in _JPEGS)


def from_array(array: Any, shown: str) -> ContentPart:
    """A NumPy array, height x width, or with 1, 3 or 4 colours last.

    Raises:
        OptionTypeError: Its elements are no brightnesses.
        OptionValueError: Its shape or its values are not those of an image.
        UnsupportedError: Pillow is missing.
    """
    if array.ndim == 1:
        raise OptionValueError(f"{shown} has one dimension; for sound attach a pair (samples, sample_rate)")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {3, 4}) or array.size == 0:
        hint = ""
        if array.ndim == 3 and array.shape[0] in {1, 3, 4}:
            hint = "; np.moveaxis(array, 0, -1) puts the colours last"
        raise OptionValueError(
            f"{shown} has the shape {array.shape}; an image is (height, width), or that with 1, 3 or 4 colours{hint}"
        )
    pixels = _brightnesses(array, shown)
    image_module = _require_pillow(shown)
    with _readable(shown):
        image = image_module.fromarray(pixels)
        _check_size(image, shown)
        return _encoded(image, "", shown, as_jpeg=False)


def _brightnesses(array: Any, shown: str) -> Any:
    """The array as uint8."""
    kind = array.dtype.kind
    if array.dtype == "uint8":
        return array
    if kind == "b":
        return array.astype("uint8") * 255
    if kind != "f":
        raise OptionTypeError(
            f"{shown} is an array of {array.dtype}; an image is uint8, or floats from 0 to 1"
        )
    least, most = float(array.min()), float(array.max())
    if not (least >= 0.0 and most <= 1.0):  # not-a-numbers are caught here, too
        raise OptionValueError(
            f"{shown} has values from {least:.4g} to {most:.4g}; floats of an image are from 0 to 1: divide by 255, "
            "or use np.clip and np.nan_to_num"
        )
    return (array * 255.0 + 0.5).astype("uint8")


def _encoded(image: Any, name: str, shown: str, *, as_jpeg: bool) -> ContentPart:
    image = _opaque(_upright(image), shown)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    written = io.BytesIO()
    if as_jpeg:
        image.save(written, "JPEG", quality=_JPEG_QUALITY)
        return ContentPart("image", "image/jpeg", name, written.getvalue())
    image.save(written, "PNG")
    return ContentPart("image", "image/png", name, written.getvalue())


def _upright(image: Any) -> Any:
    """A copy, turned as its EXIF data says."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _opaque(image: Any, shown: str) -> Any:
    """Grey or RGB, with white where it was transparent, as a page would show it."""
    if image.mode == "I;16B":  # big-endian, which Pillow cannot scale
        from PIL import Image

        image = Image.frombytes("I;16", image.size, image.tobytes(), "raw", "I;16B")
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"I", "F"}:
        raise OptionValueError(
            f"{shown} has pixels of 32 bits, and which of their values is white is unknown; scale them to 0 to 255"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        page = _white_page(image)
        page.alpha_composite(image)
        image = page
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")


def _white_page(image: Any) -> Any:
    from PIL import Image

    return Image.new("RGBA", image.size, "white")


def _check_size(image: Any, shown: str) -> None:
    width, height = image.size
    if not width or not height:
        raise OptionValueError(f"{shown} has no pixels ({width} x {height}); attach another")
    if width * height > _MOST_PIXELS:
        raise OptionValueError(
            f"{shown} has {width:,} x {height:,} pixels and {_MOST_PIXELS:,} can be read; make it smaller first"
        )


@contextlib.contextmanager
def _readable(shown: str) -> Iterator[None]:
    """Whatever Pillow raises for a file that is broken, or made to break it, as an error that names the file."""
    try:
        yield
    except GemmaNotebookError:
        raise
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":  # Pillow's own limit comes before ours
            raise OptionValueError(
                f"{shown} has more pixels than can be read; make it smaller first"
            ) from error
        raise OptionValueError(
            f"{shown} is a broken image ({type(error).__name__}: {error}); save or fetch it again"
        ) from error


def _require_pillow(shown: str) -> ModuleType:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"{shown} has to be converted, for which Pillow is missing: install it with "
            "`pip install 'gemma-notebook[media]'`, or attach an opaque PNG or JPEG of at most "
            f"{LONGEST_SIDE:,} pixels a side"
        ) from error
    return Image
