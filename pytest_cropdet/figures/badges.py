"""A badge: a label and a result as a small SVG, which needs no font and no service."""

from html import escape
from typing import NamedTuple
from zlib import crc32

__all__ = ["BADGE_COLOURS", "badge"]

# grounds on which white is read, also by the colour-blind, with a contrast of 4.5 or more
BADGE_COLOURS = {
    "pass": "#1a7044",
    "fail": "#b3261e",
    "error": "#b3261e",
    "undecided": "#8a5a00",
    "none": "#5b626c",
}
_LABEL_GROUND, _RIM = "#3b424b", "#8a929d"
_HEIGHT, _PADDING = 20, 7
_NARROW, _WIDE = "iljtfrI.,:;'|!()[] ", "mwMW@%"  # letters that are much narrower or wider than others
_LONGEST = 60  # letters of one part


class _Part(NamedTuple):
    words: str
    left: float
    width: float
    ground: str


def badge(label: str, message: str, verdict: str, title: str) -> str:
    """Return the badge as SVG; ``title``: what a pointer that rests on it, and a screen reader, say.

    It has grounds and a rim of its own, so that it is read on light and on dark pages.
    """
    parts, left = list[_Part](), 0.0
    for words, ground in ((label, _LABEL_GROUND), (message, BADGE_COLOURS.get(verdict, BADGE_COLOURS["none"]))):
        shown = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."
        width = round(_width(shown) + 2 * _PADDING, 1)
        parts.append(_Part(shown, left, width, ground))
        left += width
    body = "".join(_shapes(part) for part in parts)
    told = escape(title)
    key = f"round-{crc32(told.encode('utf-8', 'backslashreplace')):08x}"  # its own, where a page has many
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left:g}" height="{_HEIGHT}" viewBox="0 0 {left:g} {_HEIGHT}" '
        f'role="img" aria-label="{told}">\n<title>{told}</title>\n'
        f'<clipPath id="{key}"><rect width="{left:g}" height="{_HEIGHT}" rx="4"/></clipPath>\n'
        f'<g clip-path="url(#{key})" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">\n{body}</g>\n'
        f'<rect x="0.5" y="0.5" width="{left - 1:g}" height="{_HEIGHT - 1}" rx="3.5" fill="none" stroke="{_RIM}"/>\n'
        "</svg>\n"
    )


def _shapes(part: _Part) -> str:
    width = part.width - 2 * _PADDING
    return (
        f'<rect x="{part.left:g}" width="{part.width:g}" height="{_HEIGHT}" fill="{part.ground}"/>\n'
        f'<text x="{part.left + _PADDING:g}" y="14" fill="#ffffff" textLength="{width:g}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(part.words)}</text>\n'
    )


def _width(words: str) -> float:
    """Return about how many pixels words are wide in 11 px Verdana; the drawn text is fitted to it.

    >>> round(_width("crop robustness"), 1)
    94.6
    """
    widths = {**dict.fromkeys(_NARROW, 4.4), **dict.fromkeys(_WIDE, 10.4)}
    return sum(11.0 if ord(each) >= 0x2E80 else widths.get(each, 7.0) for each in words)
