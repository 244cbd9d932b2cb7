"""What every drawing of a thing says alike, as SVG and with matplotlib: colours, phrases, how long words are cut."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "CLASS_COLOURS",
    "GROUP_COLOURS",
    "GROUP_NAMES",
    "MUTED",
    "QUANTITY_NAMES",
    "SHIFT_NAMES",
    "STATE_COLOURS",
    "STEP_COLOURS",
    "capitalized",
    "chain_metric",
    "distance_name",
    "group_label",
    "shorten",
]

# colours that the colour-blind can tell apart (Okabe and Ito)
GREEN, BLUE, SKY, VERMILION = "#009E73", "#0072B2", "#56B4E9", "#D55E00"
ORANGE, YELLOW, PURPLE = "#E69F00", "#F0E442", "#CC79A7"

MUTED = "#767676"
GROUP_COLOURS = {"whole": BLUE, "crop": VERMILION, "training": "#333333"}
# of what the whole image and the crop say of one place, and whether white or black is read on them
STATE_COLOURS = {
    "found": (GREEN, "white"),
    "moved": (YELLOW, "black"),
    "relabelled": (PURPLE, "black"),
    "lost": (VERMILION, "white"),
    "new": (SKY, "black"),
}
# of SVG, by class; mid tones that show on white and on black alike, for places without the page's style sheet
CLASS_COLOURS = {
    "loss": "#c2570c",
    "gain": "#1a7f5a",
    "unsure": "#8a8f98",
    "mark": "currentColor",
    "muted": "#767b84",
    "rule": "#b9bec6",
    "allowed": "#1a7f5a",
    "limit": "#b3261e",
    "whole": "#2f6fb0",
    "crop": "#c2570c",
    "training": "#767b84",
    "context": "#1f8fb3",
    "cut": "#b9770e",
    "position": "#9b4f96",
    "scale": "#8a6d00",
    "kept": "#8a8f98",
    "missed": "#b9bec6",
}

# a cause has one colour in every drawing
STEP_COLOURS = {name: CLASS_COLOURS[name] for name in ("context", "cut", "position", "scale")}

GROUP_NAMES = {"whole": "whole images", "crop": "crops", "training": "training"}
# by what losses are split
QUANTITY_NAMES = {
    "visibility": "visible share of the object",
    "size": "original size (COCO)",
    "distance_to_cut": "distance to the cut",
    "distance_to_cut_relative": "distance to the cut, in object sizes",
    "distance_to_border": "distance to the image's border",
    "category": "category",
}
# what a model meets
SHIFT_NAMES = {
    "size": "object size",
    "aspect": "width / height",
    "x": "place, left to right",
    "y": "place, top to bottom",
    "objects": "objects per image",
}


def capitalized(words: str) -> str:
    """Return words as they begin a caption: the first letter large, the others as they are.

    >>> capitalized("original size (COCO)")
    'Original size (COCO)'
    """
    return words[:1].upper() + words[1:]


def shorten(words: str, longest: int, end: str = "...") -> str:
    """Return words of at most ``longest`` letters, with ``end`` where some are left out.

    >>> shorten("traffic light", 10), shorten("car", 10)
    ('traffic...', 'car')
    """
    return words if len(words) <= longest else f"{words[: longest - len(end)]}{end}"


def chain_metric(metric: str) -> str:
    """Return what the chain of a run is measured in; ``metric``: as its record has it."""
    return "share found" if metric == "lost" else metric


def group_label(name: str, group: Mapping[str, Any]) -> str:
    """Return the words of a group's key: whose objects, how many, in how many pictures."""
    return f"{GROUP_NAMES.get(name, name)}: {group['objects']:,} objects in {group['pictures']:,} images"


def distance_name(pair: str) -> str:
    """Return the words for a pair of groups.

    >>> distance_name("whole-crop")
    'whole to crop'
    """
    return pair.replace("-", " to ")
