"""The modules of the ready-made suite as pytest collects them, and which of them a session wants."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

__all__ = ["SUITE", "SUITE_MODULE", "SuiteModule", "has_invariants", "suite_part", "wanted_checks"]

SUITE = Path(__file__).parent.parent / "suite"
SUITE_MODULE = "pytest_cropdet.suite"
INVARIANTS_PART = "invariants"


class SuiteModule(pytest.Module):
    """A module of the ready-made suite: same tests and node ids under any configuration and place of installation."""

    def _getobj(self) -> Any:
        return import_module(f"{SUITE_MODULE}.{self.path.stem}")

    def istestfunction(self, obj: object, name: str) -> bool:
        return name.startswith("test_") and callable(obj)


def suite_part(obj: object) -> str | None:
    """Return the module of the suite, by its last name, that defines a test; ``None`` of any other."""
    package, _, name = str(getattr(obj, "__module__", "")).rpartition(".")
    return name if package == SUITE_MODULE else None


def has_invariants(collector: pytest.Collector) -> bool:
    """Whether a module has the suite's invariants, and they are wanted."""
    there = vars(getattr(collector, "obj", collector)).values()
    return INVARIANTS_PART in wanted_checks(collector.config) and any(
        callable(each) and suite_part(each) == INVARIANTS_PART for each in list(there)
    )


def wanted_checks(config: pytest.Config) -> tuple[str, ...]:
    """Return the modules of the suite that are wanted; one named on the command line by its file is there anyway.

    With ``--cropdet-benchmark`` the benchmark stands in the gate's place; ``--cropdet-sliced`` adds its own.
    """
    from pytest_cropdet.plugin.configuration import setting
    from pytest_cropdet.plugin.option_values import parse_checks

    checks = parse_checks([*setting(config, "checks"), *["sliced"] * (setting(config, "sliced") is not None)])
    if not setting(config, "benchmark"):
        return checks
    return ("benchmark", *(each for each in checks if each != "gate"))
