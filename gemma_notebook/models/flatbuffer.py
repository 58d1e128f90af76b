"""Read tables of a FlatBuffer that nobody vouches for: every offset is checked before it is followed."""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["DamagedError", "Table", "root_table"]

# Far more than any model has; a damaged length must not make work for minutes.
_MOST_ELEMENTS = 4096
_MOST_CHARACTERS = 65_536
# In all: lists may share their elements, so that a small buffer can have any number.
_MOST_TABLES = 10_000


class DamagedError(ValueError):
    """Bytes that are not what they should be."""


class Table:
    """One table. Fields are numbered from 0, in the order of the schema.

    Args:
        data: The whole buffer.
        position: Where the table begins.
        numbers: Yields for each table of the buffer; ends when there were too many.

    Raises:
        DamagedError: It is none, or one too many.
    """

    def __init__(self, data: bytes, position: int, numbers: Iterator[int]) -> None:
        if next(numbers, None) is None:
            raise DamagedError(f"more than {_MOST_TABLES} tables")
        self._numbers = numbers
        self._data = data
        self._position = position
        self._vtable = position - _unpack(data, "<i", position)
        self._vtable_size = _unpack(data, "<H", self._vtable)

    def number(self, field: int, form: str, default: float = 0) -> int | float:
        """A number field, in a format of :mod:`struct`."""
        place = self._place(field)
        return default if place is None else _unpack(self._data, form, place)

    def table(self, field: int) -> Table | None:
        """A field that is a table, or a union of tables."""
        place = self._place(field)
        return None if place is None else self._table_at(self._follow(place))

    def text(self, field: int) -> str:
        """A string field; what is not UTF-8 is replaced."""
        place = self._place(field)
        if place is None:
            return ""
        start = self._follow(place)
        length = _unpack(self._data, "<I", start)
        if length > _MOST_CHARACTERS:
            raise DamagedError(f"a string of {length} bytes")
        return _slice(self._data, start + 4, length).decode("utf-8", "replace")

    def tables(self, field: int) -> list[Table]:
        """A field that is a list of tables."""
        place = self._place(field)
        if place is None:
            return []
        start = self._follow(place)
        count = _unpack(self._data, "<I", start)
        if count > _MOST_ELEMENTS:
            raise DamagedError(f"a list of {count} elements")
        return [self._table_at(self._follow(start + 4 + 4 * index)) for index in range(count)]

    def _table_at(self, position: int) -> Table:
        return Table(self._data, position, self._numbers)

    def _place(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot + 2 > self._vtable_size:
            return None
        offset = _unpack(self._data, "<H", self._vtable + slot)
        return self._position + offset if offset else None

    def _follow(self, place: int) -> int:
        return place + int(_unpack(self._data, "<I", place))


def root_table(data: bytes) -> Table:
    """The table that the buffer is about.

    Raises:
        DamagedError: Here or at any later look: an offset leads out of the buffer.
    """
    return Table(data, int(_unpack(data, "<I", 0)), iter(range(_MOST_TABLES)))


def _unpack(data: bytes, form: str, position: int) -> int:
    (value,) = struct.unpack(form, _slice(data, position, struct.calcsize(form)))
    return value  # type: ignore[no-any-return]  # or a float, by the caller's format


def _slice(data: bytes, position: int, length: int) -> bytes:
    if position < 0 or position + length > len(data):
        raise DamagedError(f"an offset that leads to byte {position}, of {len(data)}")
    return data[position : position + length]
