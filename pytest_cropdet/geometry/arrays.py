"""The kinds of arrays that images, boxes and masks are made of."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "Corners", "Floats", "Image", "Ints"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Corners = tuple[float, float, float, float]
"""One box as built-in numbers: ``x0 y0 x1 y1``."""
