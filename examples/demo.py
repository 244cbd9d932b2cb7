"""Gate two detectors on the shipped scenes, as a user would, and say what came out.

    python examples/demo.py

``plain`` was trained on whole scenes only and needs their surroundings, so it fails on crops, on purpose; ``crops`` is
the same network, tuned with crop-aware augmentation. The demo itself ends with 0.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SCENES = ROOT / "fixtures" / "scenes"
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
    verdict = "failed, on purpose" if result["verdict"] == "fail" else f"said: {result['verdict']}"
    print(
        f"\ncropdet demo: the gate of the plain detector {verdict}. It was trained on whole scenes only; without its\n"
        "surroundings it takes a balloon for a parasail. Tuned with crops (docs/augment.md), the same network has on\n"
        f"the same crops mAP {cured['ap']['crop']:.3f} instead of {result['ap']['crop']:.3f}, and loses "
        f"{cured['drop']['value']:.3f} instead of {result['drop']['value']:.3f}: {cured['verdict']}.\n"
        "What more scenes say of it is in fixtures/README.md.\n"
        f"The results lie in\n  {(FOLDER / 'result.json').relative_to(ROOT)}"
    )
    if picture is not None:
        print(f"  {picture.relative_to(ROOT)}   (the crop that lost most)")
    page = FOLDER.parent / "report" / "index.html"
    if page.exists():
        print(f"  {page.relative_to(ROOT)}   (everything on one page: open it in a browser)")
    print("To gate your own: README.md, or docs/quickstart.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
