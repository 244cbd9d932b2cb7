"""Messages of protocol buffers, read in place: weights of some gigabytes are stepped over and never copied."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["DamagedMessageError", "Message"]

VARINT_BITS = 70  # of the longest number
FIXED_BYTES = {1: 8, 5: 4}  # bytes of the wire types of fixed size


class DamagedMessageError(ValueError):
    """Bytes that are no message; the text says where."""


@dataclass(frozen=True, slots=True)
class Message:
    """The bytes ``start`` to ``end`` of ``data`` as a message, a text, or packed numbers."""

    data: Any
    start: int
    end: int

    def fields(self) -> Iterator[tuple[int, "int | Message"]]:
        """Yield number and value of each field: a number, or the bytes of a text, a message or packed numbers.

        >>> data = bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])
        >>> [(number, each if isinstance(each, int) else each.text()) for number, each in Message(data, 0, 7).fields()]
        [(1, 150), (2, 'hi')]
        """
        place = self.start
        while place < self.end:
            key, place = self._number(place)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, place = self._number(place)
                yield number, value
            elif wire == 2:
                length, place = self._number(place)
                part, place = Message(self.data, place, place + length), place + length
                if place > self.end:
                    raise DamagedMessageError(f"a field of {length:,} bytes goes beyond the end of byte {self.end:,}")
                yield number, part
            elif wire in FIXED_BYTES:
                place += FIXED_BYTES[wire]
            else:
                raise DamagedMessageError(f"there is no field at byte {place:,}")
            if number == 0 or place > self.end:
                raise DamagedMessageError(f"there is no field at byte {place:,}")

    def parts(self) -> dict[int, list[Any]]:
        """Return the values of the fields, in their order, by the field's number."""
        found: dict[int, list[Any]] = {}
        for number, value in self.fields():
            found.setdefault(number, []).append(value)
        return found

    def text(self) -> str:
        """Return the bytes as text; what is no UTF-8 is shown as such."""
        return bytes(self.data[self.start : self.end]).decode("utf-8", "backslashreplace")

    def numbers(self) -> Iterator[int]:
        """Yield packed whole numbers."""
        place = self.start
        while place < self.end:
            value, place = self._number(place)
            yield value

    def _number(self, place: int) -> tuple[int, int]:
        value, bits = 0, 0
        while place < self.end and bits < VARINT_BITS:
            byte = self.data[place]
            value |= (byte & 0x7F) << bits
            place, bits = place + 1, bits + 7
            if byte < 0x80:
                return value, place
        raise DamagedMessageError(f"there is no number at byte {place:,}")
