"""What the options name, opened: the detector, the data set, the cache of detections."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_cropdet.data import Dataset, as_dataset, load_dataset, load_images, name_layout, refuse_warnings
from pytest_cropdet.detectors import DetectorHandle, OpenConventionsError, load_detector
from pytest_cropdet.errors import ClusterError, CropdetError, SpecError
from pytest_cropdet.files import is_url, shown_url
from pytest_cropdet.inference import BatchKeys, Cache, Cluster
from pytest_cropdet.plugin.configuration import WITHOUT_TRUTH, Chosen, choices, folder_of, missing, setting
from pytest_cropdet.plugin.option_values import read
from pytest_cropdet.plugin.options import option
from pytest_cropdet.plugin.stash import current_item

__all__ = [
    "cache_of",
    "clear_cache",
    "dataset_of",
    "layouts",
    "open_dataset",
    "open_detector",
    "open_old_model",
    "or_fail",
    "place",
    "warnings_stay_warnings",
]

T = TypeVar("T")

the_cache = pytest.StashKey[Cache | None]()
the_cluster = pytest.StashKey[Cluster | str]()  # or why there is none, so that it is sought once
opened_models = pytest.StashKey[dict[Chosen, DetectorHandle]]()
opened_data = pytest.StashKey[dict[str, Dataset]]()


def or_fail(function: Callable[..., T], *args: Any) -> T:
    """Return what ``function`` returns; an error of ours becomes one failure with its sentence and no traceback."""
    try:
        return function(*args)
    except CropdetError as error:
        text = str(error)
    pytest.fail(text, pytrace=False)  # outside of the clause, or the sentence is shown twice


@contextmanager
def warnings_stay_warnings() -> Iterator[None]:
    """Show the warnings of detectors and data as such where the project's own filters make errors of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def _chosen(config: pytest.Config, fixture: str, what: str, wanted: Any) -> Chosen:
    """Return the configured model or data set: the parameter itself, the one of that name, or the only one."""
    if isinstance(wanted, Chosen):
        return wanted
    for each in choices(config, what):
        if wanted in (None, each.name):
            return each
    raise SpecError(missing(config, fixture) or f"no {what} is called {wanted!r}")


def open_detector(config: pytest.Config, wanted: Any = None) -> DetectorHandle | None:
    """Return the configured detector, loaded unless the cache knows all of it; ``None`` in a dry run without one."""
    if wanted is None and setting(config, "dry_run") and not choices(config, "model"):
        return None
    return _open(config, _chosen(config, "cropdet_detector", "model", wanted))


def open_old_model(config: pytest.Config, item: pytest.Item | None) -> tuple[DetectorHandle | None, str]:
    """Return the configured old model, one for all tests that have it, and what messages call it; else ``None``."""
    opened = config.stash.setdefault(opened_models, {})
    for chosen in choices(config, "against", item):
        if chosen not in opened:
            opened[chosen] = _open(config, chosen)
        return opened[chosen], f"the old model {chosen.name}"
    return None, ""


def _open(config: pytest.Config, chosen: Chosen) -> DetectorHandle:
    """Return a detector, loaded unless the cache knows all of it."""
    with warnings_stay_warnings():
        detector = place(config, load_detector(chosen.spec, **dict(chosen.said)))
        keys = BatchKeys.of(cache_of(config), detector)
        if keys is None or not keys.recall_profile(detector):
            _load(config, chosen, detector)
    return detector


def _load(config: pytest.Config, chosen: Chosen, detector: DetectorHandle) -> None:
    """Load a detector; where its conventions are open and annotated data is configured, the error has them measured."""
    try:
        detector.load()
    except OpenConventionsError as error:
        data = choices(config, "data")
        if not data or setting(config, "dry_run"):
            raise
        from pytest_cropdet.plugin.measured_conventions import measure_open

        try:
            dataset = open_dataset(config, data[0])
        except CropdetError:
            raise error from None
        raise measure_open(chosen.spec, dict(chosen.said), error, dataset, cache_of(config)) from error


def workers_of(config: pytest.Config) -> int | None:
    """Return how many calls of a detector may run at once, ``None`` for as many as the cores allow."""
    found: int | None = read(option("workers"), setting(config, "workers"))
    return found


def place(config: pytest.Config, detector: DetectorHandle) -> DetectorHandle:
    """Return a detector with the workers or the cluster of the session, where it has none of its own.

    A call may take what ``--cropdet-timeout`` or the marker says of the test that is running then.
    """
    detector.time_allowed = lambda: setting(config, "timeout", config.stash.get(current_item, None))
    if detector.workers is None:
        detector.workers = workers_of(config)
    if detector.cluster is None:
        detector.cluster = cluster_of(config)
    return detector


def open_dataset(config: pytest.Config, wanted: Any = None) -> Dataset:
    """Return the configured data set."""
    chosen = _chosen(config, "cropdet_dataset", "data", wanted)
    with warnings_stay_warnings():
        if chosen.said[:1] == WITHOUT_TRUTH:
            images = load_images(chosen.spec)
            if chosen.said != WITHOUT_TRUTH:
                refuse_warnings(images)
            return images
        said: dict[str, Any] = dict(chosen.said)
        return load_dataset(chosen.spec, **said)


def layouts(config: pytest.Config) -> list[str]:
    """Return a line for each configured data set that is recognised: its name and its format."""
    named = [(each.spec, name_layout(each.spec)) for each in choices(config, "data") if each.said[:1] != WITHOUT_TRUTH]
    return [
        f"data {shown_url(spec) if is_url(spec) else spec}: {layout}" for spec, layout in named if layout is not None
    ]


def dataset_of(item: pytest.Item) -> Dataset:
    """Return the data set of a running test: what its fixture ``cropdet_dataset`` gives, whoever defines it.

    So strategies and fixtures of one test speak of the same data, and a data set is opened once.
    """
    asked_for: Mapping[str, Any] = getattr(item, "funcargs", {})
    if "cropdet_dataset" in asked_for:
        return as_dataset(asked_for["cropdet_dataset"])
    found = choices(item.config, "data", item)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise SpecError(f"crops_of(): which of {names}? Let the test use the fixture cropdet_dataset")
    request: pytest.FixtureRequest | None = getattr(item, "_request", None)
    if request is not None and found == choices(item.config, "data"):
        return as_dataset(request.getfixturevalue("cropdet_dataset"))
    opened = item.config.stash.setdefault(opened_data, {})
    spec = str(found)
    if spec not in opened:
        opened[spec] = open_dataset(item.config, found[0] if found else None)
    return opened[spec]


def cache_of(config: pytest.Config) -> Cache | None:
    """Return the session's cache of detections, ``None`` where it is off."""
    if the_cache not in config.stash:
        given = setting(config, "cache")
        cache = config.stash[the_cache] = None if given == "off" else Cache(Path(given) if given else folder_of(config))
        if cache is not None:
            config.add_cleanup(cache.close)  # what is left to the end of the process may leave SQLite's journal behind
    return config.stash[the_cache]


def cluster_of(config: pytest.Config) -> Cluster | None:
    """Return the cluster of the session, connected once; ``None`` where none is configured, and in a dry run."""
    given = setting(config, "cluster")
    if not given or setting(config, "dry_run"):
        return None
    if the_cluster not in config.stash:
        try:
            found = config.stash[the_cluster] = Cluster.open(given)
        except ClusterError as error:
            config.stash[the_cluster] = str(error)
        else:
            config.add_cleanup(found.close)
    known = config.stash[the_cluster]
    if isinstance(known, str):
        raise ClusterError(known)
    return known


def clear_cache(config: pytest.Config) -> None:
    """Forget every detection, as ``--cache-clear`` asks; on the controller, before any worker starts."""
    cache = cache_of(config)
    if cache is not None:
        cache.clear()
