"""Run a detector in batches, each image once: cache, keys, progress."""

from pytest_cropdet.inference.batches import (
    BATCH_WAIT,
    Batch,
    Batches,
    Picture,
    View,
    chunks,
    detect_all,
    plain_batches,
)
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.inference.cache_keys import BatchKeys
from pytest_cropdet.inference.image_notes import data_warnings
from pytest_cropdet.inference.one_image import Windows
from pytest_cropdet.inference.progress import Advanced, Asked, Explaining, Spent, Started, Trying, estimate_seconds

__all__ = [
    "BATCH_WAIT",
    "Advanced",
    "Asked",
    "Batch",
    "BatchKeys",
    "Batches",
    "Cache",
    "Explaining",
    "Picture",
    "Spent",
    "Started",
    "Trying",
    "View",
    "Windows",
    "chunks",
    "data_warnings",
    "detect_all",
    "estimate_seconds",
    "plain_batches",
]
