"""Images with their objects: readers of data sets, pseudo-labels, categories by name, the truth in a window."""

from pytest_cropdet.data.categories import CategoryMap, Pairing, reconcile, select_categories
from pytest_cropdet.data.coco import Annotations
from pytest_cropdet.data.corners import flatten_inverted
from pytest_cropdet.data.crop_rows import crop_detection_rows, crop_object_rows
from pytest_cropdet.data.cropping import MIN_VISIBILITY, CroppedTruth, crop_detections, crop_truth
from pytest_cropdet.data.data_warnings import WARNING_KINDS, DataWarnings, refuse_warnings, warnings_of
from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.file_reads import FileRead, decode_file, file_read, read_encoded
from pytest_cropdet.data.folder import ImageFolder
from pytest_cropdet.data.images import decoder_version, read_image
from pytest_cropdet.data.label_map import label_map_items
from pytest_cropdet.data.loading import load_annotations, load_dataset, load_images, name_layout
from pytest_cropdet.data.painted import PaintedSample, paint
from pytest_cropdet.data.plugins import dataset_plugin
from pytest_cropdet.data.pseudo_labels import HIGH_SCORE, LOW_SHARE, detector_names, stand_in_truth
from pytest_cropdet.data.readers.records import as_dataset, dataset_from_records
from pytest_cropdet.data.readers.yolo_yaml import YAML_ENDINGS, yaml_categories
from pytest_cropdet.data.renamed import rename_annotations, with_names
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.data.staging import inside_archive
from pytest_cropdet.data.standard_error import STANDARD_ERROR_LOCK

__all__ = [
    "HIGH_SCORE",
    "LOW_SHARE",
    "MIN_VISIBILITY",
    "STANDARD_ERROR_LOCK",
    "WARNING_KINDS",
    "YAML_ENDINGS",
    "Annotations",
    "CategoryMap",
    "CroppedTruth",
    "DataWarnings",
    "Dataset",
    "Detections",
    "FileRead",
    "GroundTruth",
    "ImageFolder",
    "PaintedSample",
    "Pairing",
    "Sample",
    "as_dataset",
    "crop_detection_rows",
    "crop_detections",
    "crop_object_rows",
    "crop_truth",
    "dataset_from_records",
    "dataset_plugin",
    "decode_file",
    "decoder_version",
    "detector_names",
    "file_read",
    "flatten_inverted",
    "inside_archive",
    "label_map_items",
    "load_annotations",
    "load_dataset",
    "load_images",
    "name_layout",
    "paint",
    "read_encoded",
    "read_image",
    "reconcile",
    "refuse_warnings",
    "rename_annotations",
    "select_categories",
    "stand_in_truth",
    "warnings_of",
    "with_names",
    "yaml_categories",
]
