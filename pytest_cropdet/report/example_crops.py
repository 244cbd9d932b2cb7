"""Which crops are shown beside the worst, so that every cause, category, size, label change and bin has a picture."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from pytest_cropdet.causes import ChangedObjects
from pytest_cropdet.gate import Run
from pytest_cropdet.report.crop_rows import CropOrder
from pytest_cropdet.terms import PHRASES, STEPS

__all__ = ["choose_examples"]

# what must have an example before the next; the last is everything else: bins of distance, visibility, place
EXAMPLE_ROUNDS = (("cause", "category"), ("label", "size", "fate"), ())
_Key = tuple[str, str]


def choose_examples(
    run: Run, order: CropOrder, changed: ChangedObjects, shown: Collection[int], most: int
) -> dict[int, list[str]]:
    """Return the crops that show what none of ``shown`` does, and what each is an example of, in words.

    Crop by crop the one that shows most of what is missing, the worst of equal ones; in the order of
    ``EXAMPLE_ROUNDS``, so that few pictures show every cause and category first; at most ``most``. Crops are places in
    the plan.
    """
    keys = _keys_of_crops(run, changed)
    missing = set().union(*keys.values()).difference(*(keys.get(place, ()) for place in shown)) if keys else set()
    chosen: dict[int, list[str]] = {}
    for kinds in EXAMPLE_ROUNDS:
        wanted = {key for key in missing if key[0] in kinds or not kinds}
        places = [place for place in order.places.tolist() if keys[place] & wanted]
        while wanted and places and len(chosen) < most:
            best = max(places, key=lambda place: len(keys[place] & wanted))  # the first of equal ones
            found = keys[best] & missing
            named = {_words(key) for key in found if any(key[0] in round_ for round_ in EXAMPLE_ROUNDS)}
            chosen[best] = sorted(named or {_words(min(found))})
            missing -= found
            wanted -= found
            places = [place for place in places if keys[place] & wanted]
    return chosen


def _keys_of_crops(run: Run, changed: ChangedObjects) -> Mapping[int, set[_Key]]:
    """Return, by crop, what its lost and gained objects can be an example of."""
    image, names = run.objects.truth.image[changed.rows].tolist(), run.scored.names
    category = run.objects.truth.category[changed.rows].tolist()
    found: dict[int, set[_Key]] = defaultdict(set)
    bins = {name: (labels, places.tolist()) for name, (labels, places) in changed.bins.items()}
    columns: Any = zip(
        image, category, changed.lost.tolist(), changed.step.tolist(), changed.label.tolist(), strict=True
    )
    for row, (place, key, lost, step, label) in enumerate(columns):
        own = names.get(key, str(key))
        keys = found[place]
        keys.add(("fate", "lost" if lost else "gained"))
        if lost:
            keys.add(("category", own))
            if step >= 0:
                keys.add(("cause", STEPS[step]))
        if label >= 0:
            other = names.get(label, str(label))
            keys.add(("label", f"{own} → {other}" if lost else f"{other} → {own}"))
        keys |= {(name, labels[places[row]]) for name, (labels, places) in bins.items() if places[row] >= 0}
    return found


def _words(key: _Key) -> str:
    name, value = key
    words = {
        "cause": f"lost: {PHRASES.get(value, value)}",
        "category": f"lost: {value}",
        "label": value,
        "size": f"{value} object",
        "fate": "object lost" if value == "lost" else "object newly found",
        "visibility": f"visible {value}",
        "distance_to_cut": f"to the cut: {value}",
        "distance_to_cut_relative": f"to the cut: {value}",
        "distance_to_border": f"to the image's edge: {value}",
        "cell": "place in the window",
    }
    return words.get(name, f"{name} {value}")
