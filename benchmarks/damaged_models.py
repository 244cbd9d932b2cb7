"""Damages model files at random, counts how each ends: `python benchmarks/damaged_models.py [--files N] [MODEL ...]`.

Every file is cut, has bytes flipped, or both. Of a Keras archive a part is damaged, which gets the right checksum; of a
frozen graph mostly a node. The same seed makes the same files. One is refused by the verifier, or by the process that
tries it, or is then loaded and called here: a crash there is what may never happen, nor an error that does not name the
file, nor 5 s of computing. To spare the import of TensorFlow for each file, both processes are forks of this one (Linux
and macOS).

Beside files, MODEL may be one of the names of models that are made for it: a frozen graph, and one Keras model twice.
"""

import argparse
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.probe import limit_memory
from pytest_cropdet.errors import DetectorError

MODELS = Path(__file__).resolve().parents[1] / "fixtures" / "models"
MADE = ("frozen_inference_graph.pb", "made.keras", "made.h5")
DEFAULT = (
    *(MODELS / name for name in ("ssd_nms.tflite", "ssd_raw.tflite", "saved_model", "ssd.onnx")),
    *map(Path, MADE),
)
KINDS = {".pb": "frozen_graph", ".keras": "keras", ".h5": "keras"}  # by suffix; others are called like theirs
OF_KERAS = {
    "outputs": "boxes:boxes,scores:scores,classes:classes",
    "boxes": "cxcywh",
    "units": "normalized",
    "first_category": 1,
    "range": "0..255",
    "resize": "stretch",
}
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
    "made.keras": OF_KERAS,
    "made.h5": OF_KERAS,
}
SECONDS = 60
MOST_SECONDS = 5.0  # of computing, for one file


def make_models(folder: Path) -> None:
    """Write the models of ``MADE``: a graph that finds painted rectangles, and a Keras model of a few layers."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import keras
    import tensorflow as tf

    from tests.detectors.saved_models import export_tf1

    export_tf1(tf, folder, shape=(None, None, None, 3))
    images = keras.Input((32, 32, 3), name="images")
    seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, strides=2)(images))
    outputs = {
        "boxes": keras.layers.Reshape((2, 4))(keras.layers.Dense(8, activation="sigmoid")(seen)),
        "scores": keras.layers.Dense(2, activation="sigmoid")(seen),
        "classes": keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones")(seen),
    }
    for name in MADE[1:]:
        keras.Model(images, outputs).save(folder / name)


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


def damage_inside(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a zip archive of which one part is damaged, with the checksum of what it is now."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = sorted(parts)[int(rng.integers(len(parts)))]
    if name == "config.json" and rng.integers(4):
        from mutate_data import change

        dice = random.Random(int(rng.integers(1 << 30)))
        config = change(json.loads(parts[name]), dice)
        parts[name] = json.dumps(change(config, dice) if dice.random() < 0.5 else config).encode()
    else:
        parts[name] = damage(parts[name], rng)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for each, part in parts.items():
            file.writestr(each, part)
    return content.getvalue()


def damage_graph(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a frozen graph in which nodes have another operation, input, attribute or constant, or are gone."""
    from tensorflow.core.framework.graph_pb2 import GraphDef

    graph = GraphDef.FromString(data)
    for _ in range(int(2 ** rng.integers(0, 3))):
        place, other = (int(each) for each in rng.integers(len(graph.node), size=2))
        node, theirs = graph.node[place], graph.node[other]
        how = int(rng.integers(5))
        if how == 0:
            node.op = theirs.op
        elif how == 1 and node.input:
            node.input[int(rng.integers(len(node.input)))] = theirs.name
        elif how == 2 and len(graph.node) > 2:
            del graph.node[place]
        elif how == 3 and node.attr:
            key = sorted(node.attr)[int(rng.integers(len(node.attr)))]
            values = [each.attr[name] for each in graph.node for name in each.attr]
            node.attr[key].CopyFrom(values[int(rng.integers(len(values)))])
        else:
            constants = [each.attr["value"].tensor for each in graph.node if each.op == "Const"]
            tensor = constants[int(rng.integers(len(constants)))]
            if tensor.int_val:
                tensor.int_val[0] = int(rng.choice([-1, 0, 7, 2**30, -(2**31)]))
            elif tensor.tensor_content:
                tensor.tensor_content = rng.bytes(len(tensor.tensor_content))
            elif tensor.float_val:
                tensor.float_val[0] = float(rng.choice([0.0, -1.0, 1e30, np.nan]))
    return bytes(graph.SerializeToString())


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
        within = {".keras": damage_inside, ".pb": damage_graph}.get(model.suffix)
        how = within if within is not None and rng.integers(4) else damage
        victim.write_bytes(how(victim.read_bytes(), rng))
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
    _, status, used = os.wait4(child, 0)
    if used.ru_utime + used.ru_stime > MOST_SECONDS:
        return f"SLOW, {used.ru_utime + used.ru_stime:.0f} s: {text}"
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
        return "a clear error" if path.name in here else f"UNNAMED {here}"
    return {"works": "works"}.get(here, here.upper() if here.startswith("crash") else here)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, default=DEFAULT)
    parser.add_argument("--files", type=int, default=500, help="damaged copies of each model (default: 500)")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CROPDET_PROBE"] = "off"
    if options.make is not None:
        make_models(options.make)
        return 0
    made = Path(tempfile.mkdtemp(prefix="made-"))
    if {each.name for each in options.models} & {*MADE}:
        subprocess.run([sys.executable, __file__, "--make", str(made)], check=True)  # or no fork of this could compute
    import tensorflow  # noqa: F401 (once, for all forks)

    bad = 0
    for model in (made / each if each.name in MADE and not each.exists() else each for each in options.models):
        kind = "saved_model" if model.is_dir() else KINDS.get(model.suffix, model.suffix[1:])
        description = Description.of(**SAID.get(model.name, {}))
        folder = Path(tempfile.mkdtemp(prefix="damaged-"))
        sound = ending(kind, model, description, model)
        if sound != "works":
            parser.error(f"{model} does not work before it is damaged: {sound}")
        counts: Counter[str] = Counter()
        for number, path in enumerate(damaged(model, folder / "copy", options.files, options.seed)):
            how = ending(kind, path, description, model)
            counts[how[:120]] += 1
            if how.startswith(("CRASH", "TRACEBACK", "UNNAMED", "SLOW")):
                bad += 1
                sys.stdout.write(f"{model.name}, file {number}: {how}\n")
        shutil.rmtree(folder)
        sys.stdout.write(f"{model.name}, {options.files} damaged copies:\n")
        sys.stdout.writelines(f"  {count:4}  {how}\n" for how, count in counts.most_common())
        sys.stdout.flush()
    shutil.rmtree(made)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
