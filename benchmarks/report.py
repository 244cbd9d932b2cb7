"""How large the page is with thousands of changed crops, and how long a browser takes to open and to filter it.

python benchmarks/report.py                      # 20,000 crops; prints size and times
python benchmarks/report.py --crops 5000
python benchmarks/report.py --keep page.html     # and keeps the page

Needs Jinja2; the times need Playwright and a chromium. The wanted limits are 6 MB and 2 s at 20,000 crops; the exit
status is 1 where they are missed.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES, MOST_SECONDS = 6_000_000, 2.0
CATEGORIES = 80
PICTURES = 72  # with pictures, as of photographs
REPEATS = 5


def many_crops(gate: tuple[dict[str, Any], dict[str, Any]], crops: int, picture: str) -> tuple[Any, Any]:
    """Return a record and what its run left, with ``crops`` changed crops of one to four objects each."""
    rng = np.random.default_rng(7)
    record, left = copy.deepcopy(gate)
    gallery = left["gallery"]
    bins = gallery["rows"]["labels"]
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*+"))
    objects = rng.integers(1, 4, crops)
    total, files = int(objects.sum()), max(1, crops // 4)
    sides = np.tile([640, 480], files)
    lost = np.minimum(objects, rng.integers(0, 4, crops))
    gallery["rows"] = {
        "total": crops,
        "files": [f"val2017/{place * 7:012d}.jpg" for place in range(files)],
        "sides": sides.tolist(),
        "place": rng.permutation(2 * crops)[:crops].tolist(),
        "file": rng.integers(0, files, crops).tolist(),
        "window": rng.integers(0, 480, 4 * crops).tolist(),
        "lost": lost.tolist(),
        "gained": (objects - lost).tolist(),
        "found": (lost + 3).tolist(),
        "objects": objects.tolist(),
        "category": rng.integers(0, CATEGORIES, total).tolist(),
        "label": np.where(rng.random(total) < 0.1, rng.integers(0, CATEGORIES, total), -1).tolist(),
        "annotation": rng.integers(0, 900_000, total).tolist(),
        "box": rng.integers(0, 480, 4 * total).tolist(),
        "whole": rng.integers(40, 100, total).tolist(),
        "crop": rng.integers(-1, 40, total).tolist(),
        "fate": "".join(rng.choice(["L", "G"], total)),
        "step": "".join(rng.choice(list("ABCD"), total)),
        "bins": {name: "".join(rng.choice(letters[: len(labels)], total)) for name, labels in bins.items()},
        "labels": bins,
        "steps": ["context", "cut", "position", "scale"],
        "categories": [f"category {place}" for place in range(CATEGORIES)],
    }
    entry = {**gallery["entries"][0], "pictures": {"whole": picture, "crop": picture}}
    places = gallery["rows"]["place"]
    gallery["entries"] = [{**entry, "place": places[number]} for number in range(24)]
    gallery["examples"] = [{**entry, "place": places[number], "example_of": ["x"]} for number in range(24, PICTURES)]
    gallery["losing"] = int((lost > 0).sum())
    return record, left


def photograph() -> str:
    """Return a JPEG of the size that a photograph has on the page, in base64."""
    import cv2

    rng = np.random.default_rng(3)
    noise = cv2.resize(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (440, 330), interpolation=cv2.INTER_CUBIC)
    return base64.b64encode(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 76])[1].tobytes()).decode()


def opened(path: Path) -> tuple[float, float] | None:
    """Return the median seconds until the page is loaded and until a filter is applied; ``None`` without a browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser is None:
        return None
    loads, filters = [], []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(REPEATS):
            page = chromium.new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            loads.append(time.perf_counter() - start)
            start = time.perf_counter()
            page.evaluate("location.hash = '#crops-table?category=category+7&cause=cut&sort=file&up=1'")
            page.wait_for_function("document.querySelector('.filter-form select[name=cause]').value === 'cut'")
            filters.append(time.perf_counter() - start)
            page.close()
        chromium.close()
    return statistics.median(loads), statistics.median(filters)


def main() -> int:
    """Write the page, measure it, print one line; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crops", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="where the page is kept")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from pytest_cropdet.report.html import html_page
    from tests.report.made import lossy, told

    record, left = many_crops(told(lossy()), given.crops, photograph())
    start = time.perf_counter()
    page = html_page([record], [left])
    made, size = time.perf_counter() - start, len(page.encode())
    data = page.partition('id="crops-data">')[2].partition("</script>")[0]
    shown = len(json.loads(data)["gates"][0]["place"])
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep.resolve() if given.keep else Path(folder) / "index.html"
        path.write_text(page, encoding="utf-8")
        times = opened(path)
    words = f"{shown:,} of {given.crops:,} crops: {size / 1e6:.2f} MB, {len(data) / 1e6:.2f} MB of it the table; "
    words += f"made in {made:.2f} s; "
    words += "no browser" if times is None else f"opens in {times[0]:.2f} s, filters in {times[1]:.2f} s"
    sys.stdout.write(words + "\n")
    return int(size > MOST_BYTES or (times is not None and max(times) > MOST_SECONDS))


if __name__ == "__main__":
    sys.exit(main())
