"""The kinds of arrays that images, boxes and masks are made of."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "Image", "Ints"]


Image = NDArray[np.uint8]


Ints = NDArray[np.int64]


Bools = NDArray[np.bool_]
