"""Names of categories: which mean the same, by spelling, as alias, or in a group that is counted as one."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pytest_cropdet.errors import SpecError
from pytest_cropdet.settings import name_lists

__all__ = ["CategoryNames", "close_names", "is_spelt_like", "names_of", "pair_names", "plain"]

TYPING_MISTAKE = 0.8  # of difflib's likeness: a name that nobody has and that is so close to one is mistyped
NEAREST = 0.6  # likeness of names that a message proposes


@dataclass(frozen=True, eq=False)
class CategoryNames(Mapping[int, str]):
    """The names of a data set's categories by id, after its groups; what else means each of them.

    ``shown``: names by id, of a group its name under the lowest id of its categories. ``ids``: from each id of the data
    set to the one that counts. ``groups``: the data set's own names in each group, by its name. ``also``: other names
    that mean a category, by id: aliases, and the names in its group. ``given``: each alias and group as it was written.
    ``has_ids``: whether ids mean anything outside of the data set.
    """

    shown: Mapping[int, str]
    ids: Mapping[int, int]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    also: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    has_ids: bool = True

    @classmethod
    def of(cls, names: Mapping[int, str], alias: Sequence[str] = (), group: Sequence[str] = ()) -> "CategoryNames":
        """Return the names of a data set's categories under these aliases and groups; a ``SpecError`` says why not."""
        shown, ids = dict(names), {key: key for key in names}
        groups: dict[str, tuple[str, ...]] = {}
        also: dict[int, tuple[str, ...]] = {}
        for name, others in name_lists("cropdet_group", group).items():
            own = _matching((name, *others), names)
            if not own:
                raise SpecError(
                    f"cropdet_group {name}={','.join(others)}: the data set has none of these categories; it has "
                    f"{', '.join(names.values())}{_proposed((name, *others), names.values())}"
                )
            first = min(own)
            for key in own:
                ids[key] = first
                del shown[key]
            shown[first] = name
            groups[name] = tuple(names[key] for key in sorted(own))
            also[first] = tuple(dict.fromkeys((*groups[name], *others)))
        shown = {key: shown[key] for key in names if key in shown}
        for name, others in name_lists("cropdet_alias", alias).items():
            known = {key: (shown[key], *also.get(key, ())) for key in shown}
            own = sorted({key for key, each in known.items() if _matching((name, *others), dict(enumerate(each)))})
            if len(own) > 1:
                listed = ",".join(shown[key] for key in own)
                raise SpecError(
                    f"cropdet_alias {name}={','.join(others)}: the data set has {len(own)} of these categories "
                    f"({listed.replace(',', ', ')}), and one name cannot mean both; to count them as one use "
                    f"--cropdet-group={name}={','.join(dict.fromkeys((*(shown[key] for key in own), *others)))}"
                )
            if own:
                also[own[0]] = tuple(dict.fromkeys((*also.get(own[0], ()), name, *others)))
        has_ids = getattr(names, "has_ids", True)
        return cls(shown, ids, groups, also, (*alias, *group), has_ids)

    @property
    def grouped(self) -> frozenset[int]:
        """The ids of groups."""
        return frozenset(key for key, name in self.shown.items() if name in self.groups)

    @property
    def merged(self) -> frozenset[int]:
        """The ids of categories that several of a detector's may mean."""
        return frozenset(self.also)

    def __getitem__(self, key: int) -> str:
        return self.shown[key]

    def __iter__(self) -> Iterator[int]:
        return iter(self.shown)

    def __len__(self) -> int:
        return len(self.shown)

    def refuse_mistyped(self, detector: Iterable[str]) -> None:
        """Raise ``SpecError`` for a name in an alias or a group that nobody has, but for its spelling.

        ``detector``: all its names. A name that is close to none is left alone, so that one line can serve several
        models.
        """
        given = {
            each
            for lists in (name_lists("", [one]) for one in self.given)
            for key in lists
            for each in (key, *lists[key])
        }
        members = sum(self.groups.values(), ())
        everyone = [*detector, *self.values(), *members]
        mine = [*given, *members]
        free = [each for each in dict.fromkeys((*detector, *self.values())) if not _is_among(each, mine)]
        for name in sorted(given):
            close = [] if _is_among(name, everyone) else close_names(name, free, TYPING_MISTAKE)
            if close:
                wrong = next(one for one in self.given if name in one)
                raise SpecError(
                    f"{wrong!r} of --cropdet-alias or --cropdet-group: neither the data set nor the detector has a "
                    f"category {name!r}; did you mean {' or '.join(map(repr, close))}?"
                )


def names_of(categories: Mapping[int, str]) -> CategoryNames:
    """Return the names of categories as such, without aliases or groups where they have none."""
    return categories if isinstance(categories, CategoryNames) else CategoryNames.of(categories)


def plain(name: str) -> str:
    """Return a name without case and the spaces around it."""
    return name.strip().casefold()


def same_spelling(name: str) -> str:
    """Return a name without case, spaces, underscores and hyphens.

    >>> same_spelling("Traffic_Light ")
    'trafficlight'
    """
    return re.sub(r"[\s_-]+", "", plain(name))


def plurals(word: str) -> set[str]:
    """Return how the plural of a word may be spelt; both without case and separators.

    >>> [sorted(plurals(each)) for each in ("berry", "box", "plane", "gas")]
    [['berries', 'berrys'], ['boxes', 'boxs'], ['planes'], ['gases']]
    """
    if len(word) < 3:
        return set()
    found = {f"{word}es"} if word.endswith(("s", "x", "z", "ch", "sh")) else set()
    if word.endswith("y"):
        found.add(f"{word[:-1]}ies")
    return found if word.endswith(("s", "u", "i")) else {*found, f"{word}s"}


def is_spelt_like(one: str, other: str) -> bool:
    """Return whether two names are the same but for case, separators, and a plural.

    >>> is_spelt_like("Traffic_Lights", "traffic light"), is_spelt_like("plan", "plane")
    (True, False)
    """
    left, right = same_spelling(one), same_spelling(other)
    return left == right or left in plurals(right) or right in plurals(left)


class _Spellings:
    """Names with their owners, looked up by spelling; ``plural``: in the singular and the plural, too."""

    def __init__(self, owned: Iterable[tuple[int | str, str]], *, plural: bool) -> None:
        self.plural = plural
        self._words: dict[str, dict[int | str, str]] = {}
        self._plurals: dict[str, dict[int | str, str]] = {}
        for owner, name in owned:
            word = same_spelling(name)
            self._words.setdefault(word, {}).setdefault(owner, name)
            for each in plurals(word) if plural else ():
                self._plurals.setdefault(each, {}).setdefault(owner, name)

    def of(self, name: str) -> dict[int | str, str]:
        """Return the owners of a name of that spelling, with their names."""
        word = same_spelling(name)
        found = dict(self._words.get(word, {}))
        if self.plural:
            for each in (self._plurals.get(word, {}), *(self._words.get(many, {}) for many in plurals(word))):
                found = {**each, **found}
        return found


def pair_names(detector: Mapping[int, str], names: CategoryNames) -> tuple[dict[int, int], list[tuple[str, str]]]:
    """Return the data set's id for each of a detector's that has one, and the pairs that differ in spelling.

    Names are the same without case and the spaces around them; else without spaces, underscores and hyphens; else in
    the singular, too. The last two count only where one name on each side has that spelling.
    """
    by_name = {plain(name): key for key, name in names.items()}
    by_name |= {plain(each): key for key, others in names.also.items() for each in others if plain(each) not in by_name}
    ids = {key: by_name[plain(name)] for key, name in detector.items() if plain(name) in by_name}
    folded: list[tuple[str, str]] = []
    own = [*names.items(), *((key, each) for key, others in names.also.items() for each in others)]
    for plural in (False, True) if len(ids) < len(detector) else ():
        ours = _Spellings(own, plural=plural)
        theirs = _Spellings(((plain(name), name) for name in detector.values()), plural=plural)
        for key, name in detector.items():
            found = {} if key in ids else ours.of(name)
            if len(found) == 1:
                target, there = next(iter(found.items()))
                if len(theirs.of(there)) == 1 and isinstance(target, int):
                    ids[key] = target
                    folded.append((name, there))
    return ids, folded


def close_names(name: str, among: Iterable[str], likeness: float = NEAREST) -> list[str]:
    """Return the names most like one, two at most, the nearest first."""
    by_spelling: dict[str, str] = {}
    for each in among:
        by_spelling.setdefault(same_spelling(each), each)
    return [by_spelling[each] for each in get_close_matches(same_spelling(name), by_spelling, 2, likeness)]


def _matching(wanted: Iterable[str], names: Mapping[int, str]) -> list[int]:
    """Return the ids whose name is one of those wanted, or the only one that is spelt like it."""
    found = set()
    for name in wanted:
        same = [key for key, each in names.items() if plain(each) == plain(name)]
        like = [key for key, each in names.items() if is_spelt_like(each, name)]
        found |= {*same} or ({*like} if len(like) == 1 else set())
    return sorted(found)


def _is_among(name: str, names: Iterable[str]) -> bool:
    return any(is_spelt_like(name, each) for each in names)


def _proposed(wanted: Iterable[str], names: Iterable[str]) -> str:
    close = [each for name in wanted for each in close_names(name, list(names))]
    return f"; near: {', '.join(dict.fromkeys(close))}" if close else ""
