"""The run that the tests of reports are about is drawn here, too."""

from tests.report.conftest import gate, run

__all__ = ["gate", "run"]
