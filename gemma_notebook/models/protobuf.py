"""Read the fields of a protocol buffer without its schema, as far as they can be read."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from gemma_notebook.models.flatbuffer import DamagedError

__all__ = ["Message"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Message:
    """One message: its fields by number, each with all of its values, in order.

    Args:
        data: Its bytes.

    Raises:
        DamagedError: They are none of a message.
    """

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[int | float | bytes]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def numbers(self) -> list[int]:
        """The numbers of the fields that are there."""
        return list(self._fields)

    def count(self, number: int) -> int:
        """How often a field is there."""
        return len(self._fields.get(number, ()))

    def integer(self, number: int, default: int = 0) -> int:
        """The last value of a whole-number field."""
        value = self._last(number)
        return value if isinstance(value, int) else default

    def real(self, number: int, default: float = 0.0) -> float:
        """The last value of a 32-bit floating-point field."""
        value = self._last(number)
        return value if isinstance(value, float) else default

    def text(self, number: int) -> str:
        """The last value of a string field; what is not UTF-8 is replaced."""
        value = self._last(number)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    def messages(self, number: int) -> Iterator[Message]:
        """The values of a field of messages."""
        for value in self._fields.get(number, ()):
            if isinstance(value, bytes):
                yield Message(value)

    def integers(self, number: int) -> list[int]:
        """The values of a repeated whole-number field, packed or not."""
        values: list[int] = []
        for value in self._fields.get(number, ()):
            if isinstance(value, bytes):
                position = 0
                while position < len(value):
                    one, position = _varint(value, position)
                    values.append(one)
            elif isinstance(value, int):
                values.append(value)
        return values

    def _last(self, number: int) -> int | float | bytes | None:
        values = self._fields.get(number)
        return values[-1] if values else None


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
        elif kind == _BYTES:
            length, position = _varint(data, position)
            yield key >> 3, _take(data, position, length)
            position += length
        elif kind == _FIXED32:
            yield key >> 3, float(struct.unpack("<f", _take(data, position, 4))[0])
            position += 4
        elif kind == _FIXED64:
            yield key >> 3, _take(data, position, 8)
            position += 8
        else:
            raise DamagedError(f"a field of unknown kind {kind}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise DamagedError("a number that is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise DamagedError("a number of more than ten bytes")


def _take(data: bytes, position: int, length: int) -> bytes:
    if position + length > len(data):
        raise DamagedError("a field that is cut off")
    return data[position : position + length]
