"""The built-in families draw the very same windows in every version: one number stands for 10,000 plans."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from pytest_cropdet.crops.plan import make_plan, parse_spec
from pytest_cropdet.data.samples import GroundTruth, Sample

PLANS = 10_000
# of the windows as docs/families.md defines them: who changes it changes every number that was ever measured
KNOWN = (289685, "9cab88b96957718bf4f71640b7993312c54cfd93cef3fed659171de0d30b6447")


def number(limit: int, *parts: object) -> int:
    """A whole number from 0 to ``limit`` - 1 that depends on ``parts`` alone, on every machine."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big") % limit


def image(which: int, place: int) -> Sample:
    """An image of 1 to 900 px a side with up to six objects, on parts of pixels; some are crowds, some stick out."""
    key = ("image", which, place)
    width, height = (1 + number((40, 300, 900)[number(3, *key)], side, *key) for side in ("width", "height"))
    boxes = []
    for each in range(number(7, "objects", *key)):
        unit = (1, 4, 7)[number(3, "unit", *key, each)]
        x = sorted(number((width + 20) * unit, f"x{end}", *key, each) / unit - 10 for end in (0, 1))
        y = sorted(number((height + 20) * unit, f"y{end}", *key, each) / unit - 10 for end in (0, 1))
        boxes.append([x[0], y[0], x[1] + 1, y[1] + 1])
    rows = np.array(boxes, float).reshape(-1, 4)
    crowd = [number(6, "crowd", *key, each) == 0 for each in range(len(rows))]
    ids = [number(10**6, "id", *key, each) for each in range(len(rows))]
    truth = GroundTruth(rows, np.ones(len(rows), int), crowd=crowd, ids=ids)
    return Sample(f"{which}/{place}-é.jpg", width, height, truth, read=lambda: None)


def family_spec(which: int, part: int) -> str:
    """A family at a severity, or with parameters of its own, some of them left at their defaults."""

    def pick(*values: str) -> str:
        return values[number(len(values), "value", which, part, *values)]

    family = ("random", "tile", "object", "edge", "shift")[number(5, "family", which, part)]
    share = f"{(1 + number(1000, 'share', which, part)) / 1000}"
    per_image = pick("per_image=1", "per_image=2", "per_image=7", "")
    min_side = pick("min_side=1", "min_side=20", "")
    own = {
        "random": [pick(f"keep={share}", f"keep={share}-1", "keep=0.2-0.9", ""), per_image],
        "tile": [pick("size=17", "size=320", f"size={share}", "size=0.5", ""), pick("overlap=0", "overlap=0.45", "")],
        "object": [pick("margin=0", f"margin={share}", "margin=3.25", ""), per_image, min_side],
        "edge": [pick(f"visible={share}", "visible=1", ""), per_image, min_side],
        "shift": [pick("px=8", "px=1-32", "px=3-500", ""), per_image],
    }[family]
    if number(3, "severe", which, part) == 0:
        own[0] = f"severity={1 + number(5, 'severity', which, part)}"
    text = ",".join(filter(None, own))
    return f"{family}:{text}" if text else family


def specs() -> Iterator[tuple[int, str]]:
    """Each plan's number and spec: one family, and in each fifth two of them; tiles of a pixel or so are left out."""
    for which in range(PLANS):
        parts = [family_spec(which, part) for part in range(1 + (number(5, "two", which) == 0))]
        spec = "+".join(parts)
        small = any(dict(each.parameters).get("size", 1) < 0.03 for each in parse_spec(spec))
        yield which, "tile" if small else spec


def test_ten_thousand_plans_have_the_windows_they_always_had():
    digest = hashlib.sha256()
    count = 0
    for which, spec in specs():
        samples = [image(which % 997, place) for place in range(1 + which % 2)]
        plan = make_plan(samples, spec, seed=number(4, "seed", which))
        again = "+".join(family.spec for family in parse_spec(spec))
        digest.update(f"{plan.spec}|{again}|{plan.family}|{plan.seed}\n".encode())
        for name, crops in plan.windows.items():
            digest.update(f"{name}:{[(each.left, each.top, each.width, each.height) for each in crops]}\n".encode())
        count += len(plan)
    assert (count, digest.hexdigest()) == KNOWN
