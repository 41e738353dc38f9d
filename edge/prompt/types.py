"""Name the arrays of the prompt side."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# numpy's shape types cannot say (T, 3, H, W); the docstrings do.
Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Patches: TypeAlias = npt.NDArray[np.float32]
Indexes: TypeAlias = npt.NDArray[np.int32]
