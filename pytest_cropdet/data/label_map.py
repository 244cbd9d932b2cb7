"""Label maps of the TF Object Detection API (``.pbtxt``): the items of protobuf's text format, without its schema."""

import re
from collections.abc import Iterator

__all__ = ["LabelMapError", "label_map_items"]

_ITEM = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|#[^\n]*|([\w.+-]+)|([{}:<>,;])')
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|(.))")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_OPEN, _CLOSE = ("{", "<"), ("}", ">")


class LabelMapError(ValueError):
    """A text is no label map."""


def label_map_items(text: str, *, strict: bool = True) -> Iterator[list[tuple[str, str]]]:
    """Yield the keys and values of each item, in their order; what is nested in an item is passed over.

    ``strict``: ``LabelMapError`` names the first place that is no part of a label map; else it is passed over too.

    >>> list(label_map_items("item { name: 'cat' id: 1 } item { id: 2 }"))
    [[('name', 'cat'), ('id', '1')], [('id', '2')]]
    """
    depth, key, item = 0, "", list[tuple[str, str]]()
    place = 0
    for token in _ITEM.finditer(text):
        if strict and text[place : token.start()].strip():
            break
        place = token.end()
        double, single, word, sign = token.groups()
        if sign in _OPEN:
            depth, key = depth + 1, ""
            item = [] if depth == 1 else item
        elif sign in _CLOSE:
            depth -= 1
            if strict and depth < 0:
                break
            if depth == 0:
                yield item
        elif depth == 1 and word and not key:
            key = word
        elif depth == 1 and key and sign is None and (double, single, word) != (None, None, None):
            quoted = double if double is not None else single
            item.append((key, word if quoted is None else _unescaped(quoted)))
            key = ""
    if strict and (depth or text[place:].strip()):
        near = text[place : place + 30].strip()
        raise LabelMapError(f"not a label map near {near!r}; it has item {{ id: 1 name: a }}")


def _unescaped(quoted: str) -> str:
    r"""Return a text of protobuf's text format, in which letters beyond ASCII are bytes of UTF-8 in octal.

    >>> _unescaped(r"\303\204, \u00c4 or \'a\'")
    "Ä, Ä or 'a'"
    """
    plain = _ESCAPE.sub(_letter, quoted.encode("utf-8", "surrogatepass"))
    return plain.decode("utf-8", "replace")


def _letter(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, other = found.groups()
    if octal:
        return bytes([int(octal, 8) & 255])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        number = int(short or long, 16)
        return chr(number if number < 0x110000 else 0xFFFD).encode("utf-8", "replace")
    return _LETTERS.get(other, other)
