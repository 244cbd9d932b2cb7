"""A matplotlib figure that writes the text in PDF and SVG files as text. Imported only where something is drawn."""

from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["TextFigure"]

# Letters as letters of a font, not as outlines: they can be selected and edited, and journals want them so.
AS_TEXT: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42}


class TextFigure(Figure):
    """A figure whose ``savefig`` writes letters as text."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write the figure as ``Figure.savefig`` does, with text as text."""
        with rc_context(AS_TEXT):
            super().savefig(*args, **kwargs)
