"""Whether the engine can take an image file as it is, told from the file's structure, without a library.

The engine decodes with stb_image: it ignores the EXIF orientation, drops transparency (what lies under it then
shows), and a file that claims to be huge would be decoded all the same. (read)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from gemma_notebook.errors import OptionValueError

__all__ = ["LONGEST_SIDE", "fits"]

# Gemma 3 looks at 896 x 896 pixels, Gemma 3n at 768 x 768, Gemma 4 at 645,120 of any shape (280 tokens), which this
# holds up to 3.6 : 1. The engine scales to that by itself, so more pixels would only take longer.
LONGEST_SIDE = 1536

_GREY, _COLOUR, _PALETTE = 0, 2, 3
_CHANNELS = {_GREY: 1, _COLOUR: 3, _PALETTE: 1}
_UPRIGHT = 1
_ORIENTATION = 0x0112


def fits(data: bytes, media_type: str, shown: str) -> bool:
    """Whether it is a PNG or JPEG that needs no conversion.

    Raises:
        OptionValueError: It is broken.
    """
    try:
        if media_type == "image/png":
            return _png_fits(data)
        return media_type == "image/jpeg" and _jpeg_fits(data)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise OptionValueError(f"{shown} is a broken image ({error}); save or fetch it again") from error


def _png_fits(data: bytes) -> bool:
    chunks = list(_png_chunks(data))
    if [name for name, _ in chunks[:1]] != [b"IHDR"] or chunks[-1][0] != b"IEND":
        raise ValueError("it ends too early")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    names = {name for name, _ in chunks}
    if not min(width, height):
        raise ValueError("it has no pixels")  # and zlib takes a limit of 0 for none
    if max(width, height) > LONGEST_SIDE or names & {b"tRNS", b"eXIf"} or colour not in _CHANNELS:
        return False
    # At most this long when unpacked: each row of each pass has a byte before it, and is rounded up.
    most = height * (2 + width * depth * _CHANNELS[colour] // 8) + (16 * height if interlaced else 0)
    unpacker = zlib.decompressobj()
    unpacker.decompress(b"".join(content for name, content in chunks if name == b"IDAT"), most)
    if not unpacker.eof:
        raise ValueError("its pixels are not as many as it says")
    return True


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        if zlib.crc32(name + content) != checksum:
            raise ValueError("a checksum is wrong")
        yield name, content
        place += length + 12


def _jpeg_fits(data: bytes) -> bool:
    size, upright = None, True
    for marker, content in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            _, height, width, components = struct.unpack_from(">BHHB", content)
            # Baseline and progressive, grey or in colours: not CMYK, whose inverted form stb_image guesses.
            size = max(height, width) if marker <= 0xC2 and min(height, width) and components in {1, 3} else 0
        elif marker == 0xE1 and content.startswith(b"Exif\0\0"):
            upright = _exif_orientation(content[6:]) == _UPRIGHT
    if size is None:
        raise ValueError("it has no size")
    # Without an end, or with more than that behind it, as the film in the photos of some telephones.
    ends = b"\xff\xd9" in data[-1024:]
    return ends and 0 < size <= LONGEST_SIDE and upright


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments before the pixels."""
    place = 2
    while True:
        while data[place] == 0xFF and data[place + 1] == 0xFF:
            place += 1  # fill bytes
        if data[place] != 0xFF:
            raise ValueError("a marker is missing")
        marker = data[place + 1]
        if marker == 0xDA:
            return
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)


def _exif_orientation(tiff: bytes) -> int:
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        pass  # nothing that anyone could read an orientation from
    return _UPRIGHT
