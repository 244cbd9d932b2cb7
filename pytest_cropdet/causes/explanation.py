"""The causes of a drop and what measures at inference recover: the one place that runs the detector for them."""

from collections.abc import Callable, Iterator
from typing import Any

from pytest_cropdet.causes.attribution import Causes
from pytest_cropdet.causes.mitigations.gains import Trials
from pytest_cropdet.errors import CropdetError

__all__ = ["Explanation"]


class Explanation:
    """The causes of a drop, sought when they are first asked for; ``seek`` yields what it does, and them.

    Nothing but :meth:`find` and :meth:`events` calls the detector. ``trials``: of measures at inference, ``None`` where
    none were to be tried. ``watch`` takes what ``seek`` yields from it, and may show it; ``error`` is why the causes,
    or the trials, could not be found. ``page`` is where the page about the run will be, for the end of its text.
    """

    def __init__(
        self,
        seek: Callable[[], Iterator[Any]] | None = None,
        watch: Callable[[Iterator[Any]], Any] = list,
        page: str | None = None,
    ) -> None:
        self._seek = seek
        self._watch = watch
        self.page = page
        self.causes: Causes | None = None
        self.trials: Trials | None = None
        self.error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the causes were not sought yet, and can be."""
        return self._seek is not None and self.causes is None and self.error is None

    def events(self) -> Iterator[Any]:
        """Seek the causes unless they are known, yielding what is done; an error of ours is kept as a sentence."""
        if self._seek is None or not self.is_open:
            return
        try:
            for event in self._seek():
                if isinstance(event, Causes):
                    self.causes = event
                elif isinstance(event, Trials):
                    self.trials = event
                else:
                    yield event
        except CropdetError as error:
            self.error = str(error)

    def find(self) -> Causes | None:
        """Return the causes, sought now if they were not; ``None`` if they cannot be found."""
        self._watch(self.events())
        return self.causes
