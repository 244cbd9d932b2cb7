"""Sliced inference against one pass, as a test runs it: what the options say, how far it is, and what is recorded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_cropdet.comparison import SlicedComparison, compare_sliced
from pytest_cropdet.crops import choose_samples
from pytest_cropdet.data import Dataset, load_dataset
from pytest_cropdet.detectors import DetectorHandle, Regions, Sliced, Windowed
from pytest_cropdet.errors import CropdetError, SpecError
from pytest_cropdet.files import write_whole
from pytest_cropdet.plugin.configuration import setting, settings_for
from pytest_cropdet.plugin.option_values import parse_tiles
from pytest_cropdet.plugin.picture_files import picture_path, seen_from_start
from pytest_cropdet.plugin.progress import Progress
from pytest_cropdet.plugin.resources import cache_of, place, warnings_stay_warnings
from pytest_cropdet.plugin.stash import current_item
from pytest_cropdet.report import jpeg_bytes, sliced_record
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import ScoreArguments

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ComparesSliced"]

_OF_AP = (  # the settings that do not concern crops
    *("seed", "sample_images", "metric", "categories", "alias", "group", "undecided", "min_images", "min_ap"),
    *("min_objects", "replicates", "level", "explain", "fill"),
)


class ComparesSliced:
    """The part of the fixture ``cropdet`` that compares sliced inference with one pass over the whole image."""

    if TYPE_CHECKING:
        _config: pytest.Config
        detector: DetectorHandle | None
        dataset: Dataset

        def _leave_check(
            self, item: pytest.Item | None, what: str, told: Mapping[str, Any], seed: int | None = None
        ) -> None: ...
        def _skip_dry(self, lines: list[str], item: pytest.Item | None) -> NoReturn: ...
        def _name(self, crops: Any, item: pytest.Item | None, what: str | None = None) -> str: ...

    def compare_sliced(
        self,
        tiles: str | Windowed | None = None,
        *,
        min_gain: float | None = None,
        pipeline: Any = None,
        **changes: "Unpack[ScoreArguments]",
    ) -> SlicedComparison:
        """Return what sliced inference gains over one pass: ``cropdet.compare_sliced("size=320").check()``.

        ``tiles``: settings of :class:`~pytest_cropdet.Sliced` as a spec writes them, those of ``--cropdet-sliced`` if
        not given; or a ``Sliced`` or :class:`~pytest_cropdet.Regions` of yours. ``min_gain``: the smallest allowed
        AP(sliced) - AP(whole image), ``--cropdet-min-gain`` if not given. ``pipeline``: your own sliced inference of
        this detector, a function of a list of whole images; the tiles then say how it should slice. ``changes``: fields
        of ``RunSettings`` that do not concern crops, over the options.
        """
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        try:
            unknown = sorted(set(changes) - set(_OF_AP))
            if unknown:
                raise SpecError(f"cropdet.compare_sliced takes {', '.join(_OF_AP)}; not {', '.join(unknown)}")
            settings = settings_for(self._config, item, self._name(None, item, "sliced"), **changes)
            sliced = self._sliced(tiles, item)
            least = setting(self._config, "min_gain", item) if min_gain is None else min_gain
            if self.detector is None or setting(self._config, "dry_run"):
                self._skip_dry(_estimate(sliced, self.dataset, settings, least), item)
            with warnings_stay_warnings(), Progress.on(self._config) as progress:
                found = compare_sliced(
                    sliced,
                    self.dataset,
                    least,
                    cache_of(self._config),
                    progress.show,
                    pipeline,
                    **{name: getattr(settings, name) for name in _OF_AP},
                )
                if asks_for_causes(found, settings.explain):
                    _ = found.chain  # looked at here: the failure's text and the report show it
        except CropdetError as error:
            raise error.with_traceback(None) from error.__cause__
        self._leave_check(item, "sliced", sliced_record(found, *_picture(self._config, item, found)), settings.seed)
        return found

    def _sliced(self, tiles: str | Windowed | None, item: pytest.Item | None) -> Windowed:
        """Return the detector that slices, from what a test or the options say."""
        if isinstance(tiles, Windowed):
            return tiles
        said = setting(self._config, "sliced", item) if tiles is None else tiles
        if said is None:
            raise SpecError("how is the image sliced? Give --cropdet-sliced=SETTINGS, such as size=320,overlap=0.2")
        given = parse_tiles(said)
        if isinstance(self.detector, Windowed):
            raise SpecError(
                f"{self.detector.name} slices already; give --cropdet-model the model alone: --cropdet-sliced slices it"
            )
        if "proposals" in given:
            named = given.pop("proposals")
            boxes = self.dataset if named == "truth" else load_dataset(named)
            return Regions(self.detector or (lambda images: []), boxes, **given)
        if self.detector is None:
            return Sliced(lambda images: [], **given)
        sliced = Sliced(self.detector, **given)
        if self.detector.source is not None and isinstance(self.detector.source[0], str):  # for a cluster's workers
            sliced.source = (f"sliced:{said}:{self.detector.source[0]}", self.detector.source[1])
        place(self._config, sliced)
        return sliced


def _picture(config: pytest.Config, item: pytest.Item | None, found: SlicedComparison) -> tuple[str | None, str | None]:
    """Draw the image that slicing changes most; return where it lies, or why there is no picture."""
    try:
        shown, sample = found.picture()
        path = picture_path(config, item, "sliced", f"{sample}.jpg", sample)
        write_whole(path, jpeg_bytes(shown))
    except (CropdetError, OSError, ValueError) as error:
        return None, str(error)
    return seen_from_start(config, path), None


def asks_for_causes(found: SlicedComparison, explain: str) -> bool:
    """Return whether a comparison is explained: always, or by itself where its limit is not surely met."""
    return explain == "always" or (explain == "auto" and found.verdict in ("fail", "undecided"))


def _estimate(sliced: Windowed, dataset: Dataset, settings: RunSettings, limit: float | None) -> list[str]:
    """Return what a comparison would cost."""
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    calls = sum(len(sliced.sent_of(each)) for each in samples)
    total = calls + len(samples)  # one pass has a key of its own in the cache
    lines = [
        f"sliced inference, {sliced.settings}: {len(samples)} images, {calls / max(1, len(samples)):.1f} images sent "
        f"per image; {total} images to send in all, if the cache knows none"
    ]
    if settings.explain == "always" or (settings.explain == "auto" and limit is not None):
        more = 2 * (calls - (len(samples) if sliced.whole else 0))
        when = "" if settings.explain == "always" else " unless the limit is met"
        lines.append(f"to find the causes{when}: {more} more; --cropdet-explain=off leaves that out")
    return lines
