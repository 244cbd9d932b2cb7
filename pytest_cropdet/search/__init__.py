"""One image at a time: compare a crop with its image, find the crop that loses an object.

Public modules: `dataset_search`, which imports Hypothesis.
"""

from pytest_cropdet.search.comparison import Comparison, compare
from pytest_cropdet.search.loss_rules import HeldObjects, LossRules, held_objects
from pytest_cropdet.search.worst_crop import ObjectLost, WorstCrop

__all__ = ["Comparison", "HeldObjects", "LossRules", "ObjectLost", "WorstCrop", "compare", "held_objects"]
