"""Categories of formats that give them names and no ids, such as Pascal VOC: their numbers mean nothing."""

from collections.abc import Mapping

from pytest_cropdet.errors import DetectorError

__all__ = ["NamedCategories", "refuse_pairing_by_id"]


class NamedCategories(dict[int, str]):
    """Names by numbers in the order of the names; a detector's categories can be paired with them by name alone."""

    has_ids = False


def refuse_pairing_by_id(dataset: Mapping[int, str]) -> None:
    """Raise ``DetectorError`` if a data set's categories have no ids by which a detector's could be paired."""
    if not getattr(dataset, "has_ids", True):
        raise DetectorError(
            "the detector gives no names of categories and the data set gives no ids, so they cannot be paired.\n"
            f"  the data set's categories: {', '.join(dataset.values())}\n"
            "Name the detector's categories: --cropdet-detector labels=FILE; or give those of the data set their ids: "
            "--cropdet-data-labels FILE"
        )
