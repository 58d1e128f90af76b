"""What a file is, by its first bytes; a name or a browser's word for it only says what to expect."""

from __future__ import annotations

import mimetypes
from typing import Literal

from gemma_notebook.errors import OptionValueError

__all__ = ["Kind", "guess_kind", "sniff"]

Kind = Literal["image", "audio"]

# Each a beginning, what follows at its place, and what that is.
_READABLE: tuple[tuple[bytes, int, bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF8", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
    (b"BM", 6, b"\0\0\0\0", "image/bmp"),
    (b"II*\0", 0, b"", "image/tiff"),
    (b"MM\0*", 0, b"", "image/tiff"),
    (b"", 4, b"ftypavif", "image/avif"),
    (b"RIFF", 8, b"WAVE", "audio/wav"),
    (b"fLaC", 0, b"", "audio/flac"),
    (b"OggS", 0, b"", "audio/ogg"),
    (b"ID3", 0, b"", "audio/mpeg"),
    (b"FORM", 8, b"AIF", "audio/aiff"),
)
# MPEG 1, 2 and 2.5, layer III, without and with a checksum.
_MP3_FRAMES = tuple(bytes((0xFF, second)) for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2))

_FOREIGN: tuple[tuple[bytes, int, bytes, str], ...] = (
    (b"", 4, b"ftyphei", "an HEIC image; save it as PNG or JPEG"),
    (b"", 4, b"ftypmif1", "an HEIC image; save it as PNG or JPEG"),
    (b"", 4, b"ftypM4A", "an M4A sound; convert it to WAV, FLAC, MP3 or Ogg"),
    (b"", 4, b"ftyp", "a video; attach single frames as images, or the sound as WAV"),
    (b"\x1aE\xdf\xa3", 0, b"", "a WebM or Matroska file; convert its sound to WAV, FLAC, MP3 or Ogg"),
    (b"%PDF", 0, b"", "a PDF; save the page as PNG, or put its text into the message"),
    (b"PK\x03\x04", 0, b"", "an archive or an Office document; attach the images in it one by one"),
)


def guess_kind(name: str, media_type: str | None = None) -> Kind | None:
    """The kind that a file should be by the browser's word or its name; None when they do not tell."""
    told = media_type or mimetypes.guess_type(name)[0] or ""
    if told.startswith("image/"):
        return "image"
    return "audio" if told.startswith("audio/") else None


def sniff(data: bytes, shown: str) -> tuple[Kind, str]:
    """The kind and media type of a file's content.

    Raises:
        OptionValueError: It is neither an image nor a sound, or of a kind that cannot be read here.
    """
    found = _find(data, _READABLE) or ("audio/mpeg" if data.startswith(_MP3_FRAMES) else None)
    if found:
        return ("image" if found.startswith("image/") else "audio"), found
    foreign = _find(data, _FOREIGN)
    if foreign:
        raise OptionValueError(f"{shown} is {foreign}")
    if _is_text(data):
        raise OptionValueError(f"{shown} is text; put it into the message")
    raise OptionValueError(
        f"{shown} is no image (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF) and no sound (WAV, FLAC, MP3, Ogg, AIFF); "
        "convert it to one of these"
    )


def _find(data: bytes, table: tuple[tuple[bytes, int, bytes, str], ...]) -> str | None:
    return next(
        (what for begin, at, then, what in table if data.startswith(begin) and data.startswith(then, at)),
        None,
    )


def _is_text(data: bytes) -> bool:
    try:
        beginning = data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < min(len(data), 4096) - 3:  # not just a character cut in two
            return False
        beginning = data[: error.start].decode("utf-8")
    return "\0" not in beginning
