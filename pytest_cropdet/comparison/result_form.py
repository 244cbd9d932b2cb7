"""The form of a result that ``--cropdet-json`` wrote, as far as other code reads it: another form is named."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["check_result"]

HUGE = 1e300  # whole numbers in JSON may be larger than any float

FormCheck = Callable[[Any, str], None]


def check_result(found: Any) -> None:
    """Refuse what is no result: ``ValueError`` names the place in it, and what has to be there.

    >>> check_result({"gates": [{"name": 3}]})
    Traceback (most recent call last):
    ValueError: gates[0].name is 3, not text
    """
    _RESULT(found, "")


def _need(is_right: bool, where: str, value: Any, what: str) -> None:
    if not is_right:
        raise ValueError(f"{where or 'it'} is {value!r:.80}, not {what}")


def _text(value: Any, where: str) -> None:
    _need(isinstance(value, str), where, value, "text")


def _number(value: Any, where: str) -> None:
    is_right = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE
    _need(value is None or is_right, where, value, "a number or null")


def _mapping(value: Any, where: str) -> None:
    _need(isinstance(value, dict), where, value, "an object")


def _list(each: FormCheck) -> FormCheck:
    def check(value: Any, where: str) -> None:
        _need(isinstance(value, list), where, value, "a list")
        for place, one in enumerate(value):
            each(one, f"{where}[{place}]")

    return check


def _or_null(each: FormCheck) -> FormCheck:
    return lambda value, where: None if value is None else each(value, where)


def _object(keys: Mapping[str, FormCheck], optional: Mapping[str, FormCheck] | None = None) -> FormCheck:
    """Return a check of a mapping that has all ``keys``; those of ``optional`` may be missing."""

    def check(value: Any, where: str) -> None:
        _mapping(value, where)
        for name, each in keys.items():
            _need(name in value, f"{where}.{name}".strip("."), "missing", "there")
            each(value[name], f"{where}.{name}".strip("."))
        for name, each in (optional or {}).items():
            if name in value:
                each(value[name], f"{where}.{name}".strip("."))

    return check


_BOUNDS_KEYS = {"value": _number, "low": _number, "high": _number}
_BOUNDS = _object(_BOUNDS_KEYS)
_PAIR = _object({"reference": _number, "crop": _number})
_GATE = _object(
    {
        **dict.fromkeys(("name", "verdict", "metric"), _text),
        "limit": _number,
        "drop": _BOUNDS,
        "ap": _PAIR,
        "verdicts": _list(_object({"measure": _text}, {"limit": _number, "outcome": _or_null(_text)})),
        "detector": _object({"name": _text}),
    },
    {
        **dict.fromkeys(("ap50", "ap75"), _PAIR),
        "crop_ap": _object({"low": _number, "high": _number}),
        "hidden": _or_null(_object({}, {"lost": _or_null(_object({}, _BOUNDS_KEYS))})),
        "categories": _list(_object({"name": _text, "drop": _number, "low": _number, "high": _number})),
        "settings": _or_null(_mapping),
    },
)
_RESULT = _object(
    {"gates": _list(_GATE)},
    {
        "checks": _list(_object({"name": _text, "verdict": _text})),
        "benchmarks": _list(_object({"name": _text, "benchmark": _object({"mpc": _BOUNDS, "rpc": _BOUNDS})})),
    },
)
