"""Writes docs/errors.md from the errors that the package raises: `python docs/make_errors.py`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pytest_cropdet"
HEAD = """# Error messages

Every error that the package raises on purpose is a `CropdetError`. Its text says what is wrong, where, and how to fix
it. Search this page for the fixed words of your message; `…` is a part that differs from case to case. Each section has
the usual cause and the page with the fix. A test with such an error fails with its text alone, without a traceback;
`CannotTell` skips the test.

| class | cause |
|---|---|
"""
# Pattern of modules: title, usual cause, fix. The first one that matches a module is taken.
TOPICS = (
    (r"data/(archive|archives|remote|staging)", "Data: archives and URLs",
     "The archive is damaged or encrypted, a name in it is wrong, or the URL does not answer.",
     "Name the file inside the archive, or unpack or download it: [archives and URLs](data.md#archives-and-urls)."),
    (r"data/readers/voc", "Data: Pascal VOC",
     "An XML file or a list of `ImageSets/` is damaged, or an image is missing.",
     "Correct the named file. [Pascal VOC](data_voc.md) has the layout."),
    (r"data/readers/yolo", "Data: YOLO", "`data.yaml` does not fit the folders, or a line of a label file is wrong.",
     "Correct the named line. [YOLO](data_yolo.md) has the layout."),
    (r"data/readers/(record|tf)", "Data: TFRecord", "A record is damaged, or a feature has another name or type.",
     "Write the records again, or convert them. [TFRecord](data_tfrecord.md) has the features."),
    (r"data/readers/csv", "Data: CSV", "A column is missing or unknown, or a row is wrong.",
     "Name the columns as the message says. [CSV](data_csv.md) has them."),
    (r"data/plugins", "Data: plug-ins", "The plug-in fails, or returns something that is no data set.",
     "Correct the plug-in: [plug-ins](extending.md)."),
    (r"data/categor|data/(named|renamed)", "Data: categories",
     "Names or ids of detector and data set differ, or a file of categories is wrong.",
     "`--cropdet-data-labels`, `--cropdet-alias` or `labels=`: [categories](data.md)."),
    (r"data/", "Data: annotations and images",
     "An annotation is impossible, an image is missing, or the path is not a data set.",
     "Correct the named annotation, or set `--cropdet-images` or `--cropdet-data-errors=clip`: [data sets](data.md)."),
    (r"detectors/adapters/(tflite|yolo)|detectors/anchor", "Detectors: TFLite, YOLO heads and anchors",
     "The file does not say what its numbers mean, or its outputs are not those of a detector.",
     "Set the `--cropdet-detector` key in the message: [TFLite](model_tflite.md), [YOLO](detectors.md#yolo-heads)."),
    (r"detectors/adapters/(onnx|yolox)", "Detectors: ONNX",
     "The file does not say what its numbers mean, or needs an operation that the runtime lacks.",
     "Set the key in the message: [ONNX](model_onnx.md)."),
    (r"detectors/adapters/(tfserving|kserve|http|served)|detectors/served", "Detectors: servers",
     "The server cannot be reached, or its model has other inputs or outputs than given.",
     "Check URL, model name and version: [a server](model_server.md)."),
    (r"detectors/adapters/(keras|model_object)|detectors/model_objects", "Detectors: Keras and models in Python",
     "The file needs classes that are not registered, or its answer is no detection.",
     "[Keras](model_keras.md), or wrap it in [a function](model_function.md)."),
    (r"detectors/adapters", "Detectors: SavedModel and frozen graph",
     "The signature is not known, or its outputs are not those of a detector.",
     "Set `signature`, `outputs` or the key in the message: [SavedModel](model_saved_model.md)."),
    (r"detectors/(tiles|merges|sliced)", "Detectors: sliced inference", "Tile size, overlap or merge is not possible.",
     "[Sliced inference](sliced.md) has the values."),
    (r"detectors/(answers|callables|handle|libraries|one_call)", "Detectors: answers",
     "The detector raised an error, or returned boxes, scores or labels of another shape or range.",
     "Correct the function: [what a function returns](detectors.md#what-a-function-returns)."),
    (r"detectors/time_limit", "Detectors: time-outs", "One call took longer than `--cropdet-timeout` allows.",
     "Look at the named code, or set a larger limit: [a call without an end](detectors.md#a-call-without-an-end)."),
    (r"detectors/", "Detectors: loading and settings",
     "The path is no detector, or a key of `--cropdet-detector` is missing, unknown or impossible.",
     "Set the key in the message; [`pytest-cropdet inspect`](inspect.md) measures the right value."),
    (r"evaluation/(measure_tables|further)|gate/(own|further)_measures", "Measures by name and of your own",
     "The name is unknown or taken, or the function fails or returns something else than a number.",
     "Correct the name or the function: [other measures](measures.md)."),
    (r"crops/", "Windows", "The spec of `--cropdet-crops`, a plan, or a strategy is not possible.",
     "[Windows](plans.md) and [families](families.md) have the values."),
    (r"augment/", "Augmentation", "An argument is out of range, or boxes and labels differ in number.",
     "[Crop-aware augmentation](augment.md) has the arguments."),
    (r"inference/", "Reading and clusters",
     "The scheduler does not answer, a worker lacks a package, or a file changed during the run.",
     "Start the cluster again, with the same packages: [a cluster](cluster.md)."),
    (r"comparison/|plugin/baselines|gate/old_model", "Old model and baseline",
     "The two runs are of other images, windows or rules, or the file is no baseline.",
     "Use the same data and windows, or write the baseline again: [new against old](baseline.md)."),
    (r"invariants/|plugin/measured", "Invariants and inspect",
     "Too few confident detections or annotated images, or the detector fails on the test images.",
     "Give more images or [the named setting](invariants.md)."),
    (r"search/", "Search", "A limit of the search is not possible, or no object is found with confidence.",
     "[The search](worst_crop.md) has the values."),
    (r"settings|plugin/", "Options", "An option's value is not possible, or two options exclude each other.",
     "[Options](options.md) has all values."),
    (r"causes/|evaluation/|figures/|report/|gate/|benchmark/|commands/|settings|augment", "Gate, report and commands",
     "The run cannot use a number, a file or a folder that it was given.",
     "Change the named argument; [the gate](gate.md) has the rules."),
)  # fmt: skip
PLACE = re.compile(r"…(\s*…)+")


def families(trees: dict[str, ast.Module]) -> dict[str, ast.ClassDef]:
    """Return the classes under ``CropdetError``, by name."""
    every = {node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found: dict[str, ast.ClassDef] = {"CropdetError": every["CropdetError"]}
    while True:
        more = {
            name: node
            for name, node in every.items()
            if name not in found and any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
        }
        if not more:
            return found
        found.update(more)


def summary(node: ast.ClassDef) -> str:
    """Return what the class attribute ``summary`` of a remap's error says; the exception is one that has no words."""
    for each in node.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant):
            return f"A remap of your own: {each.value.value}."
    raise LookupError(f"{node.name} has neither a docstring nor a summary")


def text_of(node: ast.expr) -> str:
    """Return an expression's fixed words, with ``…`` for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return "…"


def texts(trees: dict[str, ast.Module], classes: dict[str, ast.ClassDef]) -> Iterator[tuple[str, str, str]]:
    """Yield module, class and text of every error that has fixed words."""
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
                text = " ".join(PLACE.sub("…", text_of(node.args[0])).split())
                if len(re.findall(r"[A-Za-z]{2,}", text)) > 1:
                    yield module, node.func.id, text


def topic(module: str) -> int:
    """Return the number of a module's topic; ``LookupError`` where it has none."""
    for number, (pattern, *_) in enumerate(TOPICS):
        if re.match(pattern, module):
            return number
    raise LookupError(f"{module} raises errors: give it a topic in docs/make_errors.py")


def trees_of(package: Path = PACKAGE) -> dict[str, ast.Module]:
    """Return the package's modules, by their path in it."""
    paths = sorted(package.rglob("*.py"))
    return {path.relative_to(package).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def page() -> str:
    """Return the page's text."""
    trees = trees_of()
    classes = families(trees)
    rows = []
    for name, node in classes.items():
        words = " ".join((ast.get_docstring(node) or summary(node)).split("\n\n")[0].split())
        rows.append(f"| `{name}` | {words.replace('``', '`')} |")
    parts = [HEAD + "\n".join(sorted(rows)) + "\n"]
    found: dict[int, set[tuple[str, str]]] = {}
    for module, name, text in texts(trees, classes):
        found.setdefault(topic(module), set()).add((text, name))
    for number, (_, title, cause, fix) in enumerate(TOPICS):
        if number in found:
            lines = [f"{name}: {text}" for text, name in sorted(found[number], key=lambda each: each[0].lower())]
            block = "\n".join(lines)
            parts.append(f"## {title}\n\n**Cause.** {cause}\n\n**Fix.** {fix}\n\n```text\n{block}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("errors.md").write_text(page(), encoding="utf-8")
