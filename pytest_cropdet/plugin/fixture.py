"""Between pytest and the runner: run gates, benchmarks and checks for a test, and keep what they found."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_cropdet.benchmark import Benchmark, benchmark_events, estimate
from pytest_cropdet.crops import Drawn, Plan, choose_samples, plan_name, plan_of, read_crops
from pytest_cropdet.data import Dataset, Sample, as_dataset, refuse_warnings
from pytest_cropdet.detectors import DetectorHandle, as_handle, describe
from pytest_cropdet.errors import CropdetError, SpecError
from pytest_cropdet.gate import Event, Finished, Run, dry_run, events, old_on_cluster
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference import data_warnings, on_cluster
from pytest_cropdet.plugin import reports
from pytest_cropdet.plugin.baselines import is_updated, stored_record
from pytest_cropdet.plugin.configuration import (
    Chosen,
    choices,
    default_limit,
    folder_of,
    setting,
    settings_for,
    spec_ids,
    spec_of,
)
from pytest_cropdet.plugin.invariant_test import ChecksInvariants
from pytest_cropdet.plugin.option_values import parse_assumptions, words
from pytest_cropdet.plugin.progress import Progress
from pytest_cropdet.plugin.resources import cache_of, open_old_model, or_fail, place, warnings_stay_warnings
from pytest_cropdet.plugin.run_records import keep, leave_record
from pytest_cropdet.plugin.sliced_test import ComparesSliced
from pytest_cropdet.plugin.stash import current_item, kept_runs
from pytest_cropdet.report import (
    benchmark_properties,
    benchmark_record,
    check_properties,
    search_record,
)
from pytest_cropdet.settings import RunSettings, without_change_limits
from pytest_cropdet.terms import BENCHMARK, CHECK, DRY_RUN, RunArguments, one_line

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pytest_cropdet.plugin.search_test import Judges
    from pytest_cropdet.search import LossRules
    from pytest_cropdet.search.dataset_search import Search

__all__ = ["Cropdet"]


class Cropdet(ChecksInvariants, ComparesSliced):
    """A detector on a data set, as the fixture ``cropdet`` hands it to a test."""

    def __init__(self, config: pytest.Config, detector: Any, dataset: Dataset) -> None:
        self._config = config
        self.detector = None if detector is None else or_fail(place, config, as_handle(detector))
        self.dataset: Dataset = as_dataset(dataset)
        if setting(config, "strict_data"):
            or_fail(refuse_warnings, self.dataset)
        self._made: Judges | None = None

    def run(
        self,
        crops: Any = None,
        *,
        name: str | None = None,
        per_image: int | None = None,
        against: Any = None,
        client: Any = None,
        **changes: "Unpack[RunArguments]",
    ) -> Run:
        """Return what crops cost: ``cropdet.run("random:keep=0.3-0.9,per_image=4", max_drop=0.05)``.

        ``crops``: a spec of windows, the configured one if not given, or several; or a Hypothesis strategy of windows,
        or a function of a sample that returns one, with the ``name`` it is kept under and ``per_image`` windows (4): it
        is drawn once, and from then on its windows are read (:class:`~pytest_cropdet.Drawn`); or the windows: a mapping
        of sample ids to lists of ``Crop``, a function of a sample that returns such a list, or a plan. ``changes``: any
        field of ``RunSettings``, over the marker, the command line and the ini file. ``against``: an older detector,
        which is run on the same crops, or an earlier run on them; that of ``--cropdet-against`` if not given.
        ``client``: a ``dask.distributed.Client`` whose workers run the detector.

        A limit that is stated, here or there, is an assertion: what the test does not compare itself is judged when
        the test ends, and ``run.check()`` judges it at once. Without a limit compare the result to gate it:
        ``assert run.drop <= 0.05``.
        """
        __tracebackhide__ = True
        return self._run(crops, name, per_image, {**changes}, against, client)

    def _run(
        self,
        crops: Any,
        name: str | None,
        per_image: int | None,
        changes: dict[str, Any],
        against: Any,
        client: Any,
        gates: bool = False,
    ) -> Run:
        """Run; with ``gates`` the mean has a limit, if only by default."""
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        unknown = sorted(set(changes) - set(RunSettings.__dataclass_fields__))
        if unknown:
            raise SpecError(
                f"cropdet.run takes {', '.join(RunSettings.__dataclass_fields__)}; not {', '.join(unknown)}"
            )
        try:
            if crops is None:
                crops = setting(self._config, "crops", item)[0]
            crops = read_crops(crops, self.dataset, name, per_image)
            called = self._name(crops, item)
            settings = settings_for(self._config, item, called, crops=spec_of(crops), **changes)
            if gates and settings.max_drop is None and "max_drop" not in changes and not settings.limits_changes:
                settings = replace(settings, max_drop=default_limit())
            if gates and not (settings.states_limits or settings.limits_changes):
                raise SpecError("cropdet.gate has no limit to check: state one, or measure with cropdet.run")
            plan = self._plan(crops, settings, item)
            if self.detector is None or setting(self._config, "dry_run"):
                self._dry_run(settings, item, plan)
            place = sum(item is not None and each.test == item.nodeid for each in self._config.stash.get(kept_runs, []))
            if item is not None:
                reports.begin(self._config, item.nodeid, place, called)
            if is_updated(self._config):
                settings = without_change_limits(settings)
            against = against if client is None else old_on_cluster(against, client)
            old, old_name = (against, "") if against is not None else self._old(item, called)
            told = {"against": old, "old_name": old_name, "name": called, "pair": self._pair(item)}
            run = self._finish(settings, on_cluster(self.detector, client), plan, told)
        except CropdetError as error:
            raise error.with_traceback(None) from error.__cause__
        if item is not None:
            keep(self._config, run, item, place)
        return run

    def gate(
        self,
        crops: Any = None,
        *,
        name: str | None = None,
        per_image: int | None = None,
        against: Any = None,
        client: Any = None,
        **changes: "Unpack[RunArguments]",
    ) -> Run:
        """Run, and fail unless every stated limit holds.

        ``--cropdet-max-drop`` is 0.05 unless set otherwise; where a limit is on what changed from an old model, only
        if it is stated.
        """
        __tracebackhide__ = True
        run = self._run(crops, name, per_image, {**changes}, against, client, gates=True)
        if not is_updated(self._config) or run.settings.states_limits:  # changes are not judged by what is written
            run.check()
        return run

    def benchmark(
        self, mode: str | None = None, *, families: Sequence[str] = (), **changes: "Unpack[RunArguments]"
    ) -> Benchmark:
        """Return the crop benchmark: AP by family and severity, mPC and rPC. It judges nothing.

        ``mode``: "quick" or "full", ``--cropdet-benchmark`` if not given, else "full". ``changes``: any field of
        ``RunSettings``; its windows and limits are not read. ``families``: names of families,
        ``--cropdet-benchmark-families`` if not given, else the five built-in ones.
        """
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        mode = mode or setting(self._config, "benchmark") or "full"
        families = families or list(words(setting(self._config, "benchmark_families")))
        try:
            settings = settings_for(self._config, item, **changes)
            if self.detector is None or setting(self._config, "dry_run"):
                self._skip_dry(estimate(self.dataset, mode, settings, self.detector, families), item)
            found = self._finish_benchmark(mode, settings, self.detector, families)
        except CropdetError as error:
            raise error.with_traceback(None) from error.__cause__
        found.name = self._name(settings.crops, item, "benchmark")
        if item is not None:
            told = {**benchmark_record(found), "data_warnings": self._data_warnings(found.plan.samples)}
            leave_record(item, BENCHMARK, told, benchmark_properties(told))
        return found

    def search(
        self,
        *,
        rules: "LossRules | None" = None,
        examples: int | None = None,
        shrink: bool | None = None,
        seed: int | None = None,
    ) -> "Search":
        """Return the window that loses an object, with the smallest cut: ``cropdet.search().check()``.

        The arguments are those of :func:`pytest_cropdet.search.dataset_search.search`, and win over the options. Where
        no object is found with confidence in a whole image nothing can be lost, and the test is skipped.
        """
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        if self.detector is None or setting(self._config, "dry_run"):
            pytest.skip("dry run: the detector was not judged")
        from pytest_cropdet.plugin.search_test import search_for

        said = {"rules": rules, "examples": examples, "shrink": shrink, "seed": seed}
        changes = {name: value for name, value in said.items() if value is not None}

        with warnings_stay_warnings():
            found = search_for(self._config, item, self.detector, self.dataset, cache_of(self._config), changes)
        self._leave_check(item, "search", search_record(found), seed)
        if found.verdict == "skip":
            pytest.skip(found.nothing)
        return found

    def check_crop(self, sample: str, crop: Crop) -> None:
        """Fail if a window loses an object of a sample, named by its id: ``cropdet.check_crop("000.png", Crop(...))``.

        Under Hypothesis it is also what the search climbs by.
        """
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        if self.detector is None or setting(self._config, "dry_run"):
            pytest.skip("dry run: the detector was not judged")
        with warnings_stay_warnings():
            found = self._judging(self.detector).losses(item).at(sample, crop)
        if found is not None:
            found.check()

    def _judging(self, detector: DetectorHandle) -> "Judges":
        if self._made is None:
            from pytest_cropdet.plugin.search_test import Judges

            self._made = Judges(self._config, detector, self.dataset, cache_of(self._config))
        return self._made

    def _leave_check(
        self, item: pytest.Item | None, what: str, told: Mapping[str, Any], seed: int | None = None
    ) -> None:
        """Let the record of an invariant or a search travel to the controller, with what it was made of."""
        if item is None or self.detector is None:
            return
        made = {
            "name": self._name(None, item, what),
            "detector": describe(self.detector),
            "dataset": self.dataset.name,
            "data_warnings": self._data_warnings(),
            "seed": setting(self._config, "seed", item) if seed is None else seed,
        }
        record = {**made, **told}
        leave_record(item, CHECK, record, check_properties(record))

    def _data_warnings(self, samples: Sequence[Sample] = ()) -> list[dict[str, Any]]:
        return data_warnings(self.dataset, samples, cache_of(self._config) if samples else None)

    def _plan(self, crops: str | Drawn | Plan, settings: RunSettings, item: pytest.Item | None) -> Plan | None:
        """Return windows that were given, or that a strategy draws or has drawn; ``None`` where a spec makes them."""
        if isinstance(crops, str):
            return None
        file = setting(self._config, "plan", item) if isinstance(crops, Drawn) else None
        file = None if file is None else Path(file)
        if file is not None and plan_name(file) != crops.name:
            file = None  # of another gate's strategy
        samples = choose_samples(self.dataset, settings.sample_images, settings.seed)
        return plan_of(crops, samples, settings.seed, settings.max_crops, folder_of(self._config), file)

    def _dry_run(self, settings: RunSettings, item: pytest.Item | None, plan: Plan | None) -> NoReturn:
        assumed = parse_assumptions(setting(self._config, "assume"))
        self._skip_dry(dry_run(self.dataset, settings, self.detector, plan, assumed).lines(), item)

    def _skip_dry(self, lines: list[str], item: pytest.Item | None) -> NoReturn:
        if item is not None:
            item.user_properties.append((DRY_RUN, "\n".join(map(one_line, lines))))
        pytest.skip("dry run: the detector was not judged")

    def _old(self, item: pytest.Item | None, gate: str) -> tuple[Any, str]:
        """Return what a gate is compared with, and what messages call it: the old model, or the baseline."""
        stored, name = stored_record(self._config, item, gate)
        if stored is not None:
            return stored, name
        return open_old_model(self._config, item)

    def _pair(self, item: pytest.Item | None) -> str:
        return "any" if is_updated(self._config) else setting(self._config, "baseline_images", item)

    def _finish(
        self, settings: RunSettings, detector: DetectorHandle, plan: Plan | None, told: Mapping[str, Any]
    ) -> Run:
        cache, page = cache_of(self._config), reports.page_name(self._config)
        with self._progress(detector) as progress:
            for event in events(detector, self.dataset, settings, plan, cache, page=page, watch=self._watch, **told):
                if isinstance(event, Finished):
                    return event.run
                progress.show(event)
        raise RuntimeError("the run ended without a result")

    def _finish_benchmark(
        self, mode: str, settings: RunSettings, detector: DetectorHandle, families: Sequence[str]
    ) -> Benchmark:
        cache = cache_of(self._config)
        with self._progress(detector) as progress:
            for event in benchmark_events(detector, self.dataset, mode, settings, cache, families):
                if isinstance(event, Benchmark):
                    return event
                progress.show(event)
        raise RuntimeError("the benchmark ended without a result")

    @contextmanager
    def _progress(self, detector: DetectorHandle) -> Iterator[Progress]:
        with warnings_stay_warnings(), Progress.on(self._config) as progress:
            if cache_of(self._config) is not None and detector.fingerprint is None:
                progress.keeps_nothing(f"{detector.name} has no fingerprint, so its detections are not stored")
            yield progress

    def _watch(self, seeking: Iterator[Event]) -> None:
        """Show what is done for causes that are asked for after the run."""
        with warnings_stay_warnings(), Progress.on(self._config) as progress:
            for event in seeking:
                progress.show(event)

    def _name(self, crops: Any, item: pytest.Item | None, what: str | None = None) -> str:
        """Return the name in reports: model and data set where there are several, and the windows or ``what``."""
        parameters: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        shown = {"cropdet_detector": "model", "cropdet_dataset": "data"}
        parts = [
            parameters[fixture].name
            for fixture, what in shown.items()
            if isinstance(parameters.get(fixture), Chosen) and len(choices(self._config, what, item)) > 1
        ]
        if what is not None:
            return "-".join([*parts, what])
        specs = list(setting(self._config, "crops", item))
        ids = dict(zip(map(spec_of, specs), spec_ids(specs), strict=True))
        return "-".join([*parts, ids.get(spec_of(crops), spec_ids([crops])[0])])

    def __repr__(self) -> str:
        name = None if self.detector is None else self.detector.name
        return f"Cropdet({name!r} on {self.dataset.name!r})"
