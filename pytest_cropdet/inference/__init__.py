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
from pytest_cropdet.inference.cluster import Cluster, on_cluster
from pytest_cropdet.inference.cluster_address import check_address
from pytest_cropdet.inference.detection_store import DetectionStore, StoredDetections
from pytest_cropdet.inference.image_notes import data_warnings
from pytest_cropdet.inference.one_image import Windows
from pytest_cropdet.inference.progress import (
    Advanced,
    Meter,
    Spent,
    Started,
    duration_text,
    estimate_seconds,
    progress_lines,
)

__all__ = [
    "BATCH_WAIT",
    "Advanced",
    "Batch",
    "BatchKeys",
    "Batches",
    "Cache",
    "Cluster",
    "DetectionStore",
    "Meter",
    "Picture",
    "Spent",
    "Started",
    "StoredDetections",
    "View",
    "Windows",
    "check_address",
    "chunks",
    "data_warnings",
    "detect_all",
    "duration_text",
    "estimate_seconds",
    "on_cluster",
    "plain_batches",
    "progress_lines",
]
