"""Gate the shipped detector on the shipped scenes, as a user would, and say what came out.

    python examples/demo.py

The detector was trained on whole scenes only and needs their surroundings, so it fails on crops, on purpose; the demo
itself ends with 0.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
SCENES = ROOT / "fixtures" / "scenes"
FOLDER = ROOT / ".cropdet" / "demo"


def gate() -> list[str]:
    """Return the command that gates the detector: the SavedModel, or its TFLite twin without TensorFlow."""
    model = f"saved_model:{MODELS / 'saved_model'}"
    if importlib.util.find_spec("tensorflow") is None:
        model = f"tflite:{MODELS / 'ssd_nms.tflite'}"
    return [
        sys.executable,
        "-m",
        "pytest",
        "--pyargs",
        "pytest_cropdet.suite",
        f"--rootdir={ROOT}",
        "-c/dev/null",
        f"--cropdet-model=ssd={model}",
        f"--cropdet-detector=labels={MODELS / 'labels.txt'}",
        f"--cropdet-data={SCENES}",
        "--cropdet-crops=random:keep=0.3-0.9,per_image=2",
        "--cropdet-max-drop=0.05",
        f"--cropdet-json={FOLDER / 'result.json'}",
        "-p",
        "no:cacheprovider",
    ]


def draw_worst(result: dict[str, object]) -> Path | None:
    """Draw the crop that lost most, image and crop side by side; return the picture's path."""
    worst = result.get("worst")
    if not isinstance(worst, dict) or importlib.util.find_spec("matplotlib") is None:
        return None
    from pytest_cropdet import Crop, compare, load_dataset, load_detector

    spec = next(part.partition("=")[2].partition("=")[2] for part in gate() if part.startswith("--cropdet-model="))
    detector = load_detector(spec, labels=MODELS / "labels.txt")
    sample = next(each for each in load_dataset(SCENES) if each.id == worst["image"])
    picture = FOLDER / "worst.png"
    score = float(result["operating_point"]["score"])  # type: ignore[index]
    compare(detector, sample.image(), Crop(*worst["crop"]), score=score).plot().savefig(picture)
    return picture


def main() -> int:
    """Run the gate and explain it; 0 unless the gate itself could not run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "result.json").unlink(missing_ok=True)
    command = gate()
    print("cropdet demo:", " ".join(["pytest", *command[3:5], *command[7:-3]]), flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in (0, 1) or not (FOLDER / "result.json").exists():
        return code or 2
    result = json.loads((FOLDER / "result.json").read_text(encoding="utf-8"))["gates"][0]
    picture = draw_worst(result)
    verdict = "failed, on purpose" if result["verdict"] == "fail" else f"said: {result['verdict']}"
    print(
        f"\ncropdet demo: the gate {verdict}. The detector was trained on whole scenes only; without its surroundings\n"
        "it takes a balloon for a parasail. Its results lie in\n"
        f"  {FOLDER / 'result.json'}"
    )
    if picture is not None:
        print(f"  {picture}   (the crop that lost most)")
    print("To gate your own: README.md, or docs/quickstart.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
