"""What was measured of a model's conventions, in lines: tables of candidates, what to set, and what cannot be told."""

from collections.abc import Iterator, Sequence

from pytest_cropdet.invariants.candidates import Candidate
from pytest_cropdet.invariants.convention_search import (
    CLEAR_GAIN,
    CLEAR_P,
    FEWEST_IMAGES,
    TOO_LATE,
    ConventionComparison,
    Measured,
    gain_of,
)
from pytest_cropdet.invariants.examination import Examination, FunctionRead

__all__ = ["advice_lines", "hint_lines", "measured_lines"]

OPTION_START = "--cropdet-detector="
REASON_LENGTH = 60
BEST_IS_ANOTHER = {"resize": "objects are found better with another resize, probably that of the training"}


def measured_lines(found: Examination) -> list[str]:
    """Return the tables of an examination; empty where nothing was measured."""
    if found.function is not None:
        return list(_function_lines(found.function))
    if found.measured is None:
        return []
    images = found.measured.images
    lines = [f"Measured on {len(images)} images with {images.objects:,} annotated objects:"]
    for each in found.measured.comparisons:
        lines += _table(each, found.measured.finds)
    return lines


def _table(found: ConventionComparison, finds: bool) -> Iterator[str]:
    name = ", ".join(found.keys)
    state = "open" if found.is_open else f"in force: {_value(found, found.declared)}"
    kept = (found.declared, *(each for each in found.rows if each.refused == TOO_LATE))
    rows = [each for each in found.rows if found.is_open or not each.refused or each in kept]
    width = max(len(_value(found, each)) for each in rows)
    yield f"  {name} ({state})"
    for row in rows:
        value = _value(found, row).ljust(width)
        if row.refused:
            yield f"    {value}  {'' if row.refused == TOO_LATE else 'cannot be: '}{_short(row.refused)}"
            continue
        mark = _mark(found, row) if finds else ""
        more = f", precision {row.precision.sum() / row.images.objects:.3f}" if found.keys == ("nms_iou",) else ""
        yield f"    {value}  {_matched(row):>24}, mean score {_score(row)}{more}{mark}".rstrip()


def _mark(found: ConventionComparison, row: Candidate) -> str:
    if row is found.best:
        return "  <- best" if len(found.rows) > 1 and not found.rivals else ""
    if found.is_wrong and row is found.declared:
        return "  <- as declared"
    if row in found.rivals:
        return "  (no clear difference)"
    return ""


def _value(found: ConventionComparison, row: Candidate) -> str:
    return ", ".join(found.value_of(row))


def _matched(row: Candidate) -> str:
    return f"{row.matched:,} of {row.images.objects:,} objects matched"


def _score(row: Candidate) -> str:
    return "-" if row.mean_score is None else f"{row.mean_score:.2f}"


def _short(reason: str) -> str:
    text = reason.splitlines()[0].rpartition(": ")[2] if reason else ""
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 3]}..."


def advice_lines(found: Examination) -> list[str]:
    """Return what to do: lines to paste, what is declared wrongly, and what cannot be told, the most important first.

    Empty where everything fits.
    """
    lines = list[str]()
    if found.measured is not None:
        lines += _measured_advice(found, found.measured)
    elif found.function is not None:
        lines += _function_advice(found.function)
    lines += _open_advice(found)
    return lines


def _measured_advice(found: Examination, measured: Measured) -> Iterator[str]:
    best = measured.best
    if best.refused:
        yield f"Cannot decide: the detector fails on these images: {best.refused}"
        return
    if not measured.finds:
        yield (
            f"Cannot decide: whatever the conventions are, the detector does not find the annotated objects (at best "
            f"{_matched(best)}, mean score {_score(best)}). Is this the right model for these images and categories?"
        )
        return
    for each in measured.wrong:
        yield _wrong(each)
    if found.decided:
        yield "Set:"
        yield from (f"  {_quoted(f'{OPTION_START}{key}={value}')}" for key, value in found.decided.items())
    for each in measured.unclear:
        yield from _unclear(each)
    late = sum(row.refused == TOO_LATE for each in measured.comparisons for row in each.rows)
    if late:
        yield (
            f"{late} values were not measured, because the time was over: pytest-cropdet inspect --seconds=N takes more"
        )
    if best.covered >= 2 * max(1, best.matched):
        yield (
            f"Categories: a box lies on {best.covered:,} objects, but only {best.matched:,} of these boxes have the "
            f"object's category. Name the detector's categories: {OPTION_START}labels=FILE"
        )


def hint_lines(found: Examination) -> list[str]:
    """Return what may be better with another value, but not clearly."""
    if found.measured is None or not found.measured.finds:
        return []
    lines = []
    for each in found.measured.comparisons:
        if each.is_doubtful:
            values = [
                f"{_value(each, row)}: {_matched(row)}, mean score {_score(row)}" for row in (each.best, each.declared)
            ]
            lines.append(
                f"Perhaps {', '.join(each.keys)} should be {_value(each, each.best)} ({'; '.join(values)}), but on "
                f"{len(each.best.images)} images that may be chance"
            )
    return lines


def _wrong(each: ConventionComparison) -> str:
    now, right = each.value_of(each.declared), each.value_of(each.best)
    changed = [place for place in range(len(now)) if now[place] != right[place]]
    said = ", ".join(f"{each.keys[place]}={now[place]}" for place in changed)
    better = ", ".join(f"{each.keys[place]}={right[place]}" for place in changed)
    note = BEST_IS_ANOTHER.get(each.keys[0], "this is declared wrongly")
    declared = each.declared
    was = f"cannot be: {_short(declared.refused)}" if declared.refused else f"mean score {_score(declared)}"
    return (
        f"WRONG: {said} matches {declared.matched:,} of {declared.images.objects:,} objects ({was}), {better} matches "
        f"{each.best.matched:,} (mean score {_score(each.best)}): {note}"
    )


def _unclear(each: ConventionComparison) -> Iterator[str]:
    name = ", ".join(each.keys)
    rivals = [row for row in each.rivals if not row.refused]
    if not rivals:
        yield f"Cannot decide {name}: {_short(each.rivals[0].refused)}"
        return
    values = [_value(each, row) for row in (each.best, *rivals)]
    if each.alike:
        yield (
            f"Cannot decide {name}: {_listed(values)} give the same answers on these images, so for images like these "
            "any of them is right. Set what the training used, or inspect with images of other sizes"
        )
        return
    shown = "; ".join(f"{_value(each, row)}: {_matched(row)}, {_score(row)}" for row in (each.best, *rivals))
    few = f" ({FEWEST_IMAGES} images are needed)" if len(each.best.images) < FEWEST_IMAGES else ""
    yield (
        f"Cannot decide {name}: no value is clearly the best ({shown}; a "
        f"difference is clear if chance makes it with p <= {CLEAR_P:g}){few}. Set what the training used"
    )


def _listed(values: Sequence[str]) -> str:
    return " and ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else values[0]


def _open_advice(found: Examination) -> Iterator[str]:
    measured = {key for each in found.measured.comparisons for key in each.keys} if found.measured else set()
    rest = found.undecided
    if rest:
        yield "Still to be set:"
    for each in rest:
        used = found.values.get(each.key)
        note = f"   (used here: {used}, not measured)" if used is not None and each.key not in measured else ""
        yield f"  {each.line}{note}"


def _function_lines(found: FunctionRead) -> Iterator[str]:
    shown, swapped = found.shown, found.swapped
    yield f"Measured on {len(shown.images)} images with {shown.images.objects:,} annotated objects:"
    yield f"  as it answers           {_matched(shown)}, mean score {_score(shown)}"
    yield f"  red and blue swapped    {_matched(swapped)}, mean score {_score(swapped)}"


def _function_advice(found: FunctionRead) -> Iterator[str]:
    shown, swapped = found.shown, found.swapped
    for each in found.mistakes[:1]:
        yield f"WRONG: {each}"
    if not found.mistakes and not shown.covered:
        yield f"Cannot decide: the detector does not find the annotated objects ({_matched(shown)})"
        return
    gain, chance = gain_of(swapped, shown, ("channels",))
    if gain >= CLEAR_GAIN and chance <= CLEAR_P:
        yield (
            f"WRONG: with red and blue swapped {_matched(swapped)}, mean score {_score(swapped)}, instead of "
            f"{shown.matched:,}, mean score {_score(shown)}: the function is given RGB and expects BGR; "
            "use image[:, :, ::-1] in it"
        )


def _quoted(text: str) -> str:
    return text if all(letter.isalnum() or letter in "=.,_-:/+" for letter in text) else f"'{text}'"
