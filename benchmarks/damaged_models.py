"""Damages model files at random, counts how each ends: `python benchmarks/damaged_models.py [--files N] [MODEL ...]`.

Every file is cut, has bytes flipped, or both; the same seed makes the same files. One is refused by the verifier, or by
the process that tries it, or is then loaded and called here: a crash there is what may never happen. To spare the
import of TensorFlow for each file, both processes are forks of this one (Linux and macOS).
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.probe import limit_memory
from pytest_cropdet.errors import DetectorError

MODELS = Path(__file__).resolve().parents[1] / "fixtures" / "models"
DEFAULT = (MODELS / "ssd_nms.tflite", MODELS / "ssd_raw.tflite", MODELS / "saved_model", MODELS / "ssd.onnx")
SAID = {
    "ssd_nms.tflite": {"labels": str(MODELS / "labels.txt"), "range": "0..255"},
    "ssd_raw.tflite": {
        "labels": str(MODELS / "labels.txt"),
        "range": "0..255",
        "anchors": str(MODELS / "ssd_anchors.npy"),
        "nms_iou": "0.6",
        "resize": "stretch",
        "activation": "sigmoid",
    },
    "saved_model": {"labels": str(MODELS / "labels.txt")},
    "ssd.onnx": {"labels": str(MODELS / "labels.txt")},
}
SECONDS = 60


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Return ``data`` cut, with up to 16 bytes changed, or both; two in three changes are in what is not weights."""
    kind = rng.integers(4)
    if kind == 0:
        return data[: int(rng.integers(8, len(data)))]
    changed = bytearray(data if kind < 3 else data[: int(rng.integers(len(data) // 2, len(data)))])
    for _ in range(int(2 ** rng.integers(0, 5))):
        reach = len(changed) if rng.integers(3) == 0 else min(len(changed), 60_000)
        place = int(rng.integers(reach))
        place = place if rng.integers(2) else len(changed) - 1 - place
        changed[place] = int(rng.integers(256))
    return bytes(changed)


def damaged(model: Path, folder: Path, files: int, seed: int) -> Iterator[Path]:
    """Write and yield damaged copies of a file, or of a folder of which one file is damaged each time."""
    rng = np.random.default_rng(seed)
    for _ in range(files):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        copy = folder / model.name
        if model.is_dir():
            shutil.copytree(model, copy)
            parts = sorted(path for path in copy.rglob("*") if path.is_file())
            victim = parts[int(rng.integers(len(parts)))]
        else:
            shutil.copy(model, copy)
            victim = copy
        victim.write_bytes(damage(victim.read_bytes(), rng))
        yield copy


def forked(kind: str, path: Path, description: Description, *, limited: bool) -> str:
    """Return how loading and calling ends in a fork of this process: "works", an error's text, or "crash N"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(SECONDS)
        if limited:
            limit_memory()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            import_adapter(kind).load(path, description)
            text = "works"
        except DetectorError as error:
            text = f"error {error}"
        except BaseException as error:  # a traceback is a finding
            text = f"TRACEBACK {type(error).__name__}: {error}"
        os.write(writer, text.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return text if status == 0 else f"crash {os.waitstatus_to_exitcode(status)}"


def ending(kind: str, path: Path, description: Description, model: Path) -> str:
    """Return which gate a damaged model ends at."""
    try:
        import_adapter(kind).verify(path)
    except DetectorError as error:
        return "refused by the verifier" if str(path) in str(error) else f"UNNAMED {error}"
    tried = forked(kind, path, description, limited=True)
    if tried.startswith("crash"):
        return "refused, for the process that tried it crashed"
    here = forked(kind, path, description, limited=False)
    if here.startswith("error"):
        return "a clear error" if str(path) in here else f"UNNAMED {here}"
    return {"works": "works"}.get(here, here.upper() if here.startswith("crash") else here)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=DEFAULT)
    parser.add_argument("--files", type=int, default=500, help="damaged copies of each model (default: 500)")
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CROPDET_PROBE"] = "off"
    import tensorflow  # noqa: F401 (once, for all forks)

    bad = 0
    for model in options.models:
        kind = "saved_model" if model.is_dir() else model.suffix[1:]
        description = Description.of(**SAID.get(model.name, {}))
        folder = Path(tempfile.mkdtemp(prefix="damaged-"))
        counts: Counter[str] = Counter()
        for number, path in enumerate(damaged(model, folder / "copy", options.files, options.seed)):
            how = ending(kind, path, description, model)
            counts[how[:120]] += 1
            if how.startswith(("CRASH", "TRACEBACK", "UNNAMED")):
                bad += 1
                sys.stdout.write(f"{model.name}, file {number}: {how}\n")
        shutil.rmtree(folder)
        sys.stdout.write(f"{model.name}, {options.files} damaged copies:\n")
        sys.stdout.writelines(f"  {count:4}  {how}\n" for how, count in counts.most_common())
        sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
