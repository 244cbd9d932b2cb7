"""The text of a mismatch: a data set's categories and a detector's side by side, with the nearest names."""

from collections.abc import Mapping, Sequence

from pytest_cropdet.data.category_names import CategoryNames, close_names

__all__ = ["mismatch"]

ROWS = 12  # of each kind that are shown


def mismatch(detector: Mapping[int, str], names: CategoryNames, ids: Mapping[int, int], unknown: Sequence[int]) -> str:
    """Return what a detector does not know of a data set, both lists side by side, and how to fix it.

    ``ids``: from the detector's ids to the data set's, of those that are paired. ``unknown``: the data set's ids that
    are needed, and have no partner.
    """
    free = [name for key, name in detector.items() if key not in ids]
    partners: dict[int, list[str]] = {}
    for key, target in sorted(ids.items()):
        partners.setdefault(target, []).append(f"{key} {detector[key]}")
    proposed = {key: close_names(names[key], free) for key in unknown[:ROWS]}
    own_ids = {name: key for key, name in detector.items()}
    lacking = [
        (
            f"{key} {names[key]}",
            f"-  (near: {', '.join(f'{own_ids[name]} {name}' for name in close)})" if close else "-",
        )
        for key, close in proposed.items()
    ]
    paired = [(f"{key} {names[key]}", ", ".join(partners[key])) for key in names if key in partners]
    unpaired = [("-", f"{key} {name}") for key, name in sorted(detector.items()) if key not in ids]
    rows = [("the data set's", "the detector's"), *_cut(lacking, len(unknown)), *_cut(paired), *_cut(unpaired)]
    width = max(len(left) for left, _ in rows)
    table = "\n".join(f"  {left:<{width}} | {right}" for left, right in rows)
    more = f" and {len(unknown) - ROWS} more" if len(unknown) > ROWS else ""
    listed = ", ".join(repr(names[key]) for key in unknown[:ROWS]) + more
    return f"the detector does not know {listed} of the data set.\n{table}\n{_fixes(names, proposed, partners)}"


def _fixes(names: CategoryNames, proposed: Mapping[int, Sequence[str]], partners: Mapping[int, object]) -> str:
    aliases = [f"--cropdet-alias='{names[key]}={close[0]}'" for key, close in proposed.items() if close]
    shared = ",".join(names[key] for key in names if key in partners)
    fixes = ["fix the labels (--cropdet-detector labels=FILE)"]
    fixes += (
        [f"if these mean the same, add {' '.join(aliases[:3])}"]
        if aliases
        else ["name what means the same (--cropdet-alias='NAME=OTHER')"]
    )
    if shared:
        fixes.append(
            f"gate only shared categories (--cropdet-categories='{shared}')"
            if len(shared) < 80
            else "gate only shared categories (--cropdet-categories)"
        )
    return "; or ".join(fixes)


def _cut(rows: Sequence[tuple[str, str]], count: int = 0) -> list[tuple[str, str]]:
    more = max(len(rows), count) - ROWS
    return [*rows[:ROWS], (f"... and {more} more", "")] if more > 0 else [*rows]
