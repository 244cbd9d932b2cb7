"""What keeps two runs from being paired: other crops, other rules, other categories, other images; each is named."""

from collections.abc import Sequence

from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.errors import SpecError
from pytest_cropdet.terms import one_line

__all__ = ["common_images", "refuse_mismatch"]

_MOST_NAMES = 3


def refuse_mismatch(new: MatchRecord, old: MatchRecord, old_is: str = "the other run") -> None:
    """Raise ``SpecError`` unless both runs showed the same crops of the same images, and matched them by one rule."""
    rules, images = _rules(new, old), _images(new, old)
    if not rules and not images:
        return
    text = f"{old_is} cannot be paired with this run: {'; '.join([*rules, *images])}"
    if rules or not common_images(new, old):
        as_then = f"use the {'settings' if rules else 'images'} of {old_is}"
        raise SpecError(f"{text}. To compare, {as_then}, or measure the old model again with these")
    shared = len(common_images(new, old))
    raise SpecError(
        f"{text}. The {shared} images that both have can be compared: --cropdet-baseline-images=common; or measure the "
        "old model on this data again: --cropdet-against, --cropdet-update-baseline"
    )


def common_images(new: MatchRecord, old: MatchRecord) -> tuple[str, ...]:
    """Return the images that both runs have with the same truth, windows and picture, in the order of the new one."""
    theirs = dict(zip(old.images, old.digests, strict=True))
    return tuple(name for name, digest in zip(new.images, new.digests, strict=True) if _same(digest, theirs.get(name)))


def _same(ours: tuple[str, str], theirs: tuple[str, str] | None) -> bool:
    if theirs is None or ours[0] != theirs[0]:
        return False
    return ours[1] == theirs[1] or not (ours[1] and theirs[1])  # a file that was not read is not known to differ


def _rules(new: MatchRecord, old: MatchRecord) -> list[str]:
    """Return what makes the tables of two runs incomparable, whatever their images."""
    found = [
        f"{name} is {new.rules.get(name)} here and {old.rules.get(name)} there"
        for name in sorted({*new.rules, *old.rules})
        if new.rules.get(name) != old.rules.get(name)
    ]
    if (new.plan, new.seed) != (old.plan, old.seed):
        found.append(f"the crops are {new.plan} (seed {new.seed}) here and {old.plan} (seed {old.seed}) there")
    if dict(new.names) != dict(old.names) or new.chosen != old.chosen:
        found.append(_categories(new, old))
    return found


def _categories(new: MatchRecord, old: MatchRecord) -> str:
    ours, theirs = ({each.names[key] for key in each.chosen} for each in (new, old))
    if ours == theirs:
        return "the categories have other ids"
    parts = []
    for names, where in ((ours - theirs, "here"), (theirs - ours, "there")):
        if names:
            parts.append(f"{_some(sorted(names))} only {where}")
    both = ",".join(sorted(ours & theirs))
    fix = f" (--cropdet-categories={one_line(both)} takes those that both have)" if both else ""
    return f"the categories differ: {' and '.join(parts)}{fix}"


def _images(new: MatchRecord, old: MatchRecord) -> list[str]:
    ours, theirs = dict(zip(new.images, new.digests, strict=True)), dict(zip(old.images, old.digests, strict=True))
    both = [name for name in ours if name in theirs]
    groups = (
        ("{} images are only here", [name for name in ours if name not in theirs]),
        ("{} images are only there", [name for name in theirs if name not in ours]),
        ("{} images have other objects or windows", [name for name in both if ours[name][0] != theirs[name][0]]),
        (
            "{} images have other pixels",
            [name for name in both if ours[name][0] == theirs[name][0] and not _same(ours[name], theirs[name])],
        ),
    )
    return [f"{text.format(len(names))} ({_some(names)})" for text, names in groups if names]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return one_line(", ".join(names[:_MOST_NAMES])) + more
