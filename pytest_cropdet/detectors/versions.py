"""Versions that a detector's answers depend on, beside its own files."""

from importlib.metadata import PackageNotFoundError, version

from pytest_cropdet.data import decoder_version

__all__ = ["ADAPTERS", "answer_versions", "runtime_versions"]

ADAPTERS = 2  # raised whenever an adapter prepares pictures or reads answers differently
RUNTIMES = ("tensorflow", "ai-edge-litert", "numpy", "opencv-python", "opencv-python-headless")


def runtime_versions() -> dict[str, str]:
    """Return name and version of the packages that prepare pictures and run models, of those that are installed."""
    return {name: found for name in RUNTIMES if (found := _version(name)) is not None}


def answer_versions() -> tuple[tuple[str, str], ...]:
    """Return name and version of what answers depend on, in this process: decoder, numpy and runtimes."""
    named = [(name, found) for name, found in runtime_versions().items() if not name.startswith("opencv")]
    return (("adapters", str(ADAPTERS)), ("decoder", decoder_version()), *named)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
