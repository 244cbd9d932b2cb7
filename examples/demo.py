"""Gate two detectors on the shipped test scenes, as a user would, and summarise the results.

    python examples/demo.py

``plain`` was trained on whole scenes only and needs their surroundings, so it fails on crops, on purpose; ``crops`` is
the same network, tuned with crop-aware augmentation, and passes. Nothing was trained or chosen on these scenes. The
demo itself ends with 0.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SCENES = ROOT / "fixtures" / "test_scenes"
FOLDER = ROOT / ".cropdet" / "demo"


CURED = "tflite:fixtures/models/ssd_crops_nms.tflite"


def model() -> str:
    """Return the plain detector: the SavedModel, or its TFLite twin where there is no TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        return "tflite:fixtures/models/ssd_nms.tflite"
    return "saved_model:fixtures/models/saved_model"


def command() -> list[str]:
    """Return what a user would type."""
    settings = ["-c", "examples/demo.ini", "--rootdir=.", f"--cropdet-model=plain={model()}", "-p", "no:cacheprovider"]
    settings += [f"--cropdet-model=crops={CURED}", "--cropdet-detector=crops:range=0..255"]
    if model().startswith("tflite:"):
        settings.append("--cropdet-detector=plain:range=0..255")
    settings += [f"--cropdet-detector={name}:labels=fixtures/models/labels.txt" for name in ("plain", "crops")]
    return ["pytest", "--pyargs", "pytest_cropdet.suite", *settings]


def draw_worst(result: dict[str, object]) -> Path | None:
    """Draw the crop that lost most, image and crop side by side; return the picture's path."""
    worst = result.get("worst")
    if not isinstance(worst, dict) or importlib.util.find_spec("matplotlib") is None:
        return None
    from pytest_cropdet import Crop, compare, load_dataset, load_detector

    more = {"range": "0..255"} if model().startswith("tflite:") else {}
    detector = load_detector(model(), labels=MODELS / "labels.txt", **more)
    sample = next(each for each in load_dataset(SCENES) if each.id == worst["image"])
    picture = FOLDER / "worst.png"
    if picture.exists() and result["model_calls"] == 0:  # nothing was detected anew
        return picture
    score = float(result["operating_point"]["score"])  # type: ignore[index]
    compare(detector, sample.image(), Crop(*worst["crop"]), score=score).plot().savefig(picture)
    return picture


def main() -> int:
    """Run the gate and explain it; 0 unless the gate itself could not run."""
    os.chdir(ROOT)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "result.json").unlink(missing_ok=True)
    print("$", " ".join(command()), flush=True)
    code = subprocess.run([sys.executable, "-m", *command()], cwd=ROOT, check=False).returncode
    if code not in (0, 1) or not (FOLDER / "result.json").exists():
        return code or 2
    gates = json.loads((FOLDER / "result.json").read_text(encoding="utf-8"))["gates"]
    found = {gate["name"].partition("-")[0]: gate for gate in gates}
    result, cured = found["plain"], found["crops"]
    picture = draw_worst(result)
    print(
        f"\ncropdet demo: the plain detector: {result['verdict']}, on purpose. It was trained on whole scenes only;\n"
        "without its surroundings it takes a balloon for a parasail. The same network, tuned with crops:\n"
        f"{cured['verdict']}. It loses {cured['drop']['value']:.3f} mAP on crops instead of "
        f"{result['drop']['value']:.3f}; the limit is 0.05.\n"
        "\nWhat to look at next:"
    )
    page = FOLDER.parent / "report" / "index.html"
    seen = [(page, "the report: open it in a browser")] if page.exists() else []
    seen += [] if picture is None else [(picture, "the crop that lost most")]
    seen += [(FOLDER / "result.json", "every number, for other programs")] if len(seen) < 2 else []
    seen += [(ROOT / "docs" / "quickstart.md", "the gate on your own model, in five minutes")]
    width = max(len(str(path.relative_to(ROOT))) for path, _ in seen)
    for number, (path, what) in enumerate(seen, 1):
        print(f"  {number}. {path.relative_to(ROOT)!s:{width}}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
