"""AP of the whole images of a run, on the uncut truth: the number that is known from training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.evaluation import whole_image_ap

if TYPE_CHECKING:
    from pytest_cropdet.gate.weakness import Answers

__all__ = ["whole_image_numbers"]


def whole_image_numbers(
    answers: "Answers | None", names: Mapping[int, str], chosen: Sequence[int]
) -> dict[str, Any] | None:
    """Return ``mAP``, ``AP50`` and ``AP75`` by COCO's rules, and what they rest on; ``None`` without ground truth.

    The detections are those that the run has already. ``names``: of the data set's categories, by id; ``chosen``: the
    ids that are scored. AP is 0 to 1, ``None`` where it is undefined.
    """
    if answers is None:
        return None
    found = [answers.categories.translate(each) for each in answers.whole]
    ap = whole_image_ap(answers.samples, found, {key: names[key] for key in chosen})
    truths = [sample.truth for sample in answers.samples]
    counted = np.concatenate([np.zeros(0, np.int64), *(each.categories[each.counted] for each in truths)])
    counted = counted[np.isin(counted, list(chosen))]
    values = {"mAP": ap.mAP, "AP50": ap.AP50, "AP75": ap.AP75}
    return {
        **{name: None if np.isnan(value) else float(value) for name, value in values.items()},
        "images": len(answers.samples),
        "objects": len(counted),
        "categories": len(np.unique(counted)),
    }
