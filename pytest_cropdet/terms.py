"""The words of results, names that options and rooms share, and how names that others chose are shown.

Names of categories, files and models come from anywhere. A line break in one begins a line of its own, which a CI may
read as a command; a bidirectional control turns what follows round; a lone surrogate cannot be written in UTF-8.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from textwrap import wrap
from typing import Any, Literal, TypedDict

__all__ = [
    "BENCHMARK",
    "CHAIN",
    "CHECK",
    "DETECTOR_KINDS",
    "DRY_RUN",
    "OWN_INVARIANT",
    "PHRASES",
    "RANKING",
    "RECORD",
    "SERVED_KINDS",
    "STEPS",
    "TROUBLE",
    "Metric",
    "Record",
    "RunArguments",
    "ScoreArguments",
    "Value",
    "did_you_mean",
    "encodable",
    "fold",
    "one_line",
    "visible",
]

# Kinds of detector files that have an adapter, by the word before the path.
DETECTOR_KINDS: Mapping[str, str] = {
    "saved_model": "a folder with saved_model.pb",
    "tflite": "a .tflite file",
    "keras": "a .keras or .h5 file",
    "frozen_graph": "a .pb file of TensorFlow 1",
    "onnx": "a .onnx file",
}

# Protocols of detectors behind HTTP, by the word before the URL.
SERVED_KINDS: Mapping[str, str] = {
    "tfserving": "the URL of a model behind TensorFlow Serving",
    "kserve": "the URL of a model in KServe's v2, the Open Inference Protocol",
}

# The chain of renderings, and its steps: step k lies between renderings k and k + 1.
CHAIN = ("whole", "context", "cut", "moved", "crop")
STEPS = ("context", "cut", "position", "scale")
PHRASES = {
    "context": "context lost",
    "cut": "objects cut",
    "position": "position",
    "scale": "scale, aspect, frame",
}

# The attribute of a function that makes it an invariant.
OWN_INVARIANT = "__cropdet_invariant__"

Metric = Literal["mAP", "AP50", "AP75"]


class ScoreArguments(TypedDict, total=False):
    """The settings of a run that do not concern crops, as arguments: what editors complete and type checkers check."""

    seed: int
    sample_images: int | None
    metric: Metric
    categories: Sequence[str]
    alias: Sequence[str]
    group: Sequence[str]
    undecided: Literal["fail", "pass", "point"]
    min_images: int
    min_ap: float
    min_objects: int
    replicates: int
    level: float
    explain: Literal["auto", "always", "off"]
    fill: Sequence[str]


class RunArguments(ScoreArguments, total=False):
    """The settings of a run but its windows, as arguments."""

    max_crops: int
    min_visibility: float
    max_drop: float | None
    by_category: Mapping[str, float]
    min_ratio: float | None
    min_crop_ap: float | None
    max_worse: float | None
    worse_by_category: Mapping[str, float]
    max_drop_worse: float | None
    drop_worse_by_category: Mapping[str, float]
    cap: Literal["refuse", "accept"]
    score_threshold: float | None
    looks: Literal["off", "auto", "often"]
    verify: bool
    both_orders: bool
    max_detections: int
    train_data: str | None
    try_mitigations: bool


# A run, a benchmark or a check as built-in values, as the JSON has it, or a part of one.
Record = Mapping[str, Any]

# Properties of tests' reports that carry what a test left to the controller, and what they may hold.
Value = str | float | int | bool
RECORD = "cropdet.gate"
BENCHMARK = "cropdet.benchmark"
CHECK = "cropdet.check"
RANKING = "cropdet.ranking"
DRY_RUN = "cropdet.dry_run"
TROUBLE = "cropdet.trouble"

_HIDDEN = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufff9-\\ufffb"
)
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_BREAKING = re.compile(f"[\\t\\n{_HIDDEN}]")
_COMMAND = re.compile(r"\n\s*(?:::|##\[)")
_SURROGATE = re.compile("[\\ud800-\\udfff]")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a hint at the known word that a mistyped one was likely meant to be, "" where none is near.

    >>> did_you_mean("randum", ["random", "tile"]), did_you_mean("xyz", ["random", "tile"])
    ('; did you mean random?', '')
    """
    close = get_close_matches(str(word), list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def one_line(text: object) -> str:
    r"""Return text with line breaks, controls and surrogates written as escapes: it stays in its line, and is seen.

    >>> one_line("two\nlines"), one_line("\u202ecat"), one_line("größer 🙂")
    ('two\\nlines', '\\u202ecat', 'größer 🙂')
    """
    return _BREAKING.sub(_escape, str(text))


def fold(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return text in lines no longer than ``width``, the first indented by ``first``, the others by ``rest``.

    No line ends inside the name of an option, as it could not be copied.

    >>> fold("set --cropdet-min-gain", 20)
    ['set', '--cropdet-min-gain']
    """
    return wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def visible(value: Any) -> Any:
    """Return a record, or a part of one, with what cannot be seen in its texts written as escapes.

    Lines stay lines, but for one that a CI would read as a command.
    """
    return _mapped(value, _visible)


def _visible(text: str) -> str:
    text = _UNSEEN.sub(_escape, text.replace("\r\n", "\n"))
    return _COMMAND.sub(lambda found: found.group().replace("\n", "\\n"), text)


def encodable(value: Any) -> Any:
    r"""Return a record, or a part of one, without what UTF-8 cannot encode, and else as it is.

    >>> encodable({"name": "caf\udce9"})
    {'name': 'caf\\udce9'}
    """
    return _mapped(value, lambda text: _SURROGATE.sub(_escape, text))


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_mapped(each, change) for each in value)
    return value


def _escape(match: re.Match[str]) -> str:
    letter = match.group()
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(
        letter, f"\\x{ord(letter):02x}" if ord(letter) < 256 else f"\\u{ord(letter):04x}"
    )
