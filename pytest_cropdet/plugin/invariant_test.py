"""An invariant as a test runs it: what the options allow, what is recorded, and when it is skipped."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.errors import CannotTell
from pytest_cropdet.invariants import CheckOutcome, own_invariant
from pytest_cropdet.plugin.configuration import setting
from pytest_cropdet.plugin.option_values import parse_tolerances
from pytest_cropdet.plugin.options import INVARIANTS
from pytest_cropdet.plugin.resources import warnings_stay_warnings
from pytest_cropdet.plugin.stash import current_item
from pytest_cropdet.report import invariant_record

if TYPE_CHECKING:
    from pytest_cropdet.invariants.observations import Evidence
    from pytest_cropdet.plugin.search_test import Judges

__all__ = ["ChecksInvariants"]


class ChecksInvariants:
    """The part of the fixture ``cropdet`` that judges invariants."""

    if TYPE_CHECKING:
        _config: pytest.Config
        detector: DetectorHandle | None

        def _judging(self, detector: DetectorHandle) -> "Judges": ...
        def _leave_check(
            self, item: pytest.Item | None, what: str, told: Mapping[str, Any], seed: int | None = None
        ) -> None: ...

    def check_invariant(self, name: "str | Callable[[Evidence], float]") -> None:
        """Fail unless an invariant holds, such as ``D6-interior-object-found``; skip where it cannot be judged.

        ``name``: also a function that :func:`pytest_cropdet.invariant` made an invariant.
        """
        __tracebackhide__ = True
        item = self._config.stash.get(current_item, None)
        if self.detector is None or setting(self._config, "dry_run"):
            pytest.skip("dry run: the detector was not judged")
        called = name if isinstance(name, str) else own_invariant(name).name
        try:
            judged = self._judge(name, called, self.detector, item)
        except pytest.skip.Exception as skipped:
            judged = CheckOutcome(called, "skip", error=CannotTell(str(skipped)))
        except Exception as error:
            if isinstance(name, str) and name not in INVARIANTS:
                raise
            self._leave_check(item, called, invariant_record(CheckOutcome(called, "fail", error=error)))
            raise
        self._leave_check(item, called, invariant_record(judged))
        if judged.verdict == "skip":
            pytest.skip(judged.reason or "")
        judged.check()

    def _judge(
        self,
        name: "str | Callable[[Evidence], float]",
        called: str,
        detector: DetectorHandle,
        item: pytest.Item | None,
    ) -> CheckOutcome:
        __tracebackhide__ = True
        from pytest_cropdet.invariants.detector import judge_detector

        allowed, own = parse_tolerances(setting(self._config, "tolerance", item))
        with warnings_stay_warnings():
            return judge_detector(name, self._judging(detector).evidence(item), allowed, at_most=own.get(called))
