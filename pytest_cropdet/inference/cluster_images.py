"""How the images of a batch reach the workers of a cluster: by path, else once by bytes or pixels for all batches."""

from collections import deque
from typing import Any
from weakref import WeakValueDictionary

from pytest_cropdet.data import FileRead, Sample, file_read, read_encoded
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.inference.cluster_tasks import EncodedImage, ImageFile
from pytest_cropdet.inference.reading import read_sample

__all__ = ["SentImages"]

LATEST = 8  # scattered images that stay on the workers between two batches


class SentImages:
    """What stands for images in the tasks of one client.

    ``by_bytes``: whether files go by their bytes, which is so once a worker did not have one of them.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.by_bytes = False
        self._latest: deque[Any] = deque(maxlen=LATEST)
        self._scattered: WeakValueDictionary[Sample, Any] = WeakValueDictionary()

    def of(self, sample: Sample, cache: Cache | None) -> Any:
        """Return what a task is given for an image: its path, or what was scattered as long as a batch needs it."""
        file = file_read(sample)
        if file is not None and not self.by_bytes:
            return _of_file(file, cache)
        known = self._scattered.get(sample)
        if known is not None and known.status == "finished":
            return known
        data: Any = read_sample(sample) if file is None else EncodedImage(file.path, file.size, read_encoded(file.path))
        found = self._client.scatter(data, hash=False)
        self._scattered[sample] = found
        self._latest.append(found)
        return found


def _of_file(file: FileRead, cache: Cache | None) -> ImageFile | EncodedImage:
    """Return a file's path, and what shows that another machine has the same; ``cache`` knows the hashes of files."""
    path = file.path.absolute()
    try:
        state = path.stat()
        digest = None if cache is None else cache.file_hash(path)
    except OSError:
        return EncodedImage(file.path, file.size, read_encoded(file.path))  # which says what is wrong with it
    return ImageFile(file.path, path, file.size, state.st_size, state.st_mtime_ns, digest)
