"""Options from pytest's ini file."""

from typing import Any

import pytest

from pytest_cropdet.plugin.options import OPTIONS, Option, ini_type

__all__ = ["from_ini", "in_use"]


def from_ini(config: pytest.Config, each: Option) -> Any:
    """Return what the ini file says of an option, ``None`` if nothing; a value of another type is a usage error."""
    try:
        value = config.getini(f"cropdet_{each.name}")
    except (TypeError, ValueError, pytest.UsageError) as error:
        wanted = f"cropdet_{each.name} in {config.inipath} must be of type {ini_type(each)}"
        raise pytest.UsageError(f"{wanted}: {error}") from error
    return None if value in ("", []) else value


def in_use(config: pytest.Config) -> bool:
    """Whether any option was set, on the command line or in the ini file."""
    return any(
        config.getoption(f"cropdet_{each.name}") is not None or from_ini(config, each) is not None for each in OPTIONS
    )
