"""What all pictures share: a matplotlib figure without pyplot, so no backend and no open figure changes."""

from typing import TYPE_CHECKING

from pytest_cropdet.errors import CropdetError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure"]


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, in inches; without matplotlib ``CropdetError`` says how to install it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CropdetError(f"a plot needs matplotlib ({error}): pip install 'pytest-cropdet[plot]'") from error
    return Figure(figsize=(width, height), dpi=120)
