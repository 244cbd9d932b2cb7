"""mPC and rPC from raw results of others: AP by corruption and severity, as the corruption benchmark writes them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cropdet.errors import DataError
from pytest_cropdet.terms import did_you_mean

__all__ = ["BENCHMARK_CORRUPTIONS", "CorruptionScores", "read_corruption_results"]

CORRUPTED = (1, 2, 3, 4, 5)
BENCHMARK_CORRUPTIONS = (  # those that the benchmark averages over; four more are for validation
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)


@dataclass(frozen=True, slots=True)
class CorruptionScores:
    """AP on clean images (``clean``, 0 to 1), mPC and rPC, and the mean AP of each corruption over its severities.

    ``mpc`` is the mean of AP over corruptions and severities, ``rpc`` = mpc / clean, as C. Michaelis et al.,
    "Benchmarking Robustness in Object Detection", 2019, define them. ``rpc`` is ``None`` where ``clean`` is 0.
    """

    clean: float
    mpc: float
    rpc: float | None
    by_corruption: Mapping[str, float]

    def __str__(self) -> str:
        """Return the three numbers in one line."""
        share = "undefined" if self.rpc is None else f"{self.rpc:.1%}"
        return f"AP on clean images {self.clean:.3f}, mPC {self.mpc:.3f}, rPC {share}"


def read_corruption_results(
    results: str | Path | Mapping[str, Any], metric: str = "bbox_mAP", *, every: bool = False
) -> CorruptionScores:
    """Return mPC and rPC of raw results: ``{corruption: {severity: AP}}``, or such a mapping in a JSON file.

    Severity 0, the clean images, is needed once; 1 to 5 of every corruption. In place of a number there may be a
    mapping of metrics, of which ``metric`` is taken. ``every``: average over all corruptions of the file, not only over
    the fifteen of the benchmark; a file with none of these is averaged over all. ``DataError`` names what is missing or
    no AP: nothing that is missing counts as 0.
    """
    content, name = (results, "the results") if isinstance(results, Mapping) else (_read(Path(results)), str(results))
    if not isinstance(content, Mapping) or not content:
        raise DataError(f"{name}: a mapping of corruptions to severities is needed: {{'fog': {{'0': 0.36, ...}}, ...}}")
    table = {str(each): _severities(name, str(each), of_it, metric) for each, of_it in content.items()}
    clean = {values[0] for values in table.values() if 0 in values}
    if len(clean) != 1:
        found = f"{len(clean)} different ones: {', '.join(map(str, sorted(clean)))}" if clean else "none"
        raise DataError(f"{name}: one AP of clean images (severity 0) is needed, there is {found}")
    counted = [each for each in table if each in BENCHMARK_CORRUPTIONS]
    corruptions = list(table) if every or not counted else counted
    missing = [f"{each} {level}" for each in corruptions for level in CORRUPTED if level not in table[each]]
    if not every and counted:
        missing += [f"{each} 1 to 5" for each in BENCHMARK_CORRUPTIONS if each not in table]
    if missing:
        raise DataError(
            f"{name}: no AP of {', '.join(missing[:6])}{' and more' if len(missing) > 6 else ''}; mPC is the mean over "
            "all corruptions at severities 1 to 5"
        )
    means = {each: math.fsum(table[each][level] for level in CORRUPTED) / len(CORRUPTED) for each in corruptions}
    mpc = math.fsum(means.values()) / len(means)
    (reference,) = clean
    return CorruptionScores(reference, mpc, mpc / reference if reference > 0 else None, means)


def _read(path: Path) -> Any:
    if path.suffix in (".pkl", ".pickle"):
        raise DataError(
            f"{path}: a pickle can run code, so it is not read; write JSON where it was made: "
            "import json, mmengine; json.dump(mmengine.load('results.pkl'), open('results.json', 'w'), default=float)"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: it is no JSON file: {error}") from None


def _severities(name: str, corruption: str, given: Any, metric: str) -> dict[int, float]:
    if not isinstance(given, Mapping):
        raise DataError(f"{name}: {corruption} is no mapping of severities to AP, but {type(given).__name__}")
    found = {}
    for key, value in given.items():
        where = f"{name}: {corruption}, severity {key}"
        if str(key) not in {"0", *map(str, CORRUPTED)}:
            raise DataError(f"{where}: severities are 0 (clean) to 5")
        ap = value
        if isinstance(value, Mapping):
            if metric not in value:
                known = [str(each) for each in value]
                raise DataError(
                    f"{where}: no metric {metric!r}; there are {', '.join(known)}{did_you_mean(metric, known)}"
                )
            ap = value[metric]
        if isinstance(ap, (str, bool)) or not _is_share(ap):
            raise DataError(f"{where}: AP must be a number from 0 to 1, not {ap!r}")
        found[int(key)] = float(ap)
    return found


def _is_share(value: Any) -> bool:
    try:
        return 0 <= float(value) <= 1
    except (TypeError, ValueError):
        return False
