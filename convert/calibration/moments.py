"""Second moments of a matrix's inputs: packed as triangles, blended and shrunk where little was seen, damped.

In: rows of inputs (T, in). Out: the mean of x x^T, float32 (in, in). What a rounding error E of a matrix does to its
outputs is trace(E H E^T) with this H.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# What a down projection sees is nearly sparse, and few tokens foretell little of it. With 1 for 2, one of 128 starved
# experts lost more than with a search on prompts of another kind (1.01 at worst, mean 0.85), with 2 none (0.99, 0.86).
MIDDLE_PULL = 2.0
DAMPING = 0.01  # of the mean of the diagonal: no direction is free, however few tokens were seen


def pack_triangle(matrix: Floats) -> Floats:
    """Keep the lower triangle of a symmetric matrix (in, in), row by row: (in * (in + 1) / 2,)."""
    width = len(matrix)
    packed = np.empty(triangle_size(width), np.float32)
    for row in range(width):  # an index array of the whole triangle would take four times the matrix
        packed[triangle_size(row) : triangle_size(row + 1)] = matrix[row, : row + 1]
    return packed


def unpack_triangle(packed: Floats) -> Floats:
    """Return the symmetric matrix (in, in) of a packed triangle."""
    width = triangle_width(packed.size)
    matrix = np.empty((width, width), np.float32)
    for row in range(width):
        values = packed[triangle_size(row) : triangle_size(row + 1)]
        matrix[row, : row + 1] = values
        matrix[: row + 1, row] = values
    return matrix


def triangle_diagonal(packed: Floats) -> Floats:
    """Return the diagonal (in,) of a packed triangle."""
    ends = np.cumsum(np.arange(1, triangle_width(packed.size) + 1)) - 1
    diagonal: Floats = packed[ends]
    return diagonal


def triangle_size(width: int) -> int:
    """Count the numbers of a packed triangle."""
    return width * (width + 1) // 2


def triangle_width(size: int) -> int:
    """Return the width of the matrix that a packed triangle of `size` numbers stands for."""
    return (isqrt(8 * size + 1) - 1) // 2


def own_share(num_tokens: int, width: int) -> float:
    """Return the weight of an expert's own moments beside those of its layer.

    As many tokens as inputs count one half: with fewer, the own matrix is singular whatever the model.
    """
    return num_tokens / (num_tokens + width)


def shrunk(matrix: Floats, num_tokens: int, *, pull: float = 1.0) -> Floats:
    """Bring what lies off the diagonal nearer to zero, in place, the more the fewer tokens were seen.

    As many tokens as inputs halve it; with a `pull` of 2 they leave a third. With few tokens most of it is chance,
    and compensating for chance loses more than it gains: on the demo model's down projections 2.4 times the loss of a
    search at 256 tokens of 512 inputs. A matrix left with its diagonal alone leaves everything to the search.
    """
    diagonal = matrix.diagonal().copy()
    matrix *= np.float32(num_tokens / (num_tokens + pull * len(matrix)))
    matrix[np.diag_indices_from(matrix)] = diagonal
    return matrix


def levelled(matrix: Floats, num_tokens: int, *, pull: float = 1.0) -> Floats:
    """As `shrunk`, and bring the diagonal nearer to its mean, in place: as many tokens as inputs bring it half way.

    An input that few tokens excited looks free, and takes the errors of all others; prompts of another kind then excite
    it. With a diagonal as it was seen, 16 of 128 starved experts lost more than with a search, 13 % at worst.
    """
    diagonal = shrunk(matrix, num_tokens, pull=pull).diagonal()
    share = np.float32(num_tokens / (num_tokens + len(matrix)))
    matrix[np.diag_indices_from(matrix)] = share * diagonal + (1 - share) * diagonal.mean()
    return matrix


def damped(matrix: Floats) -> Floats:
    """Add a share of the mean of the diagonal to it, in place; a matrix of zeros becomes the identity."""
    level = np.float32(matrix.trace() / len(matrix))
    matrix[np.diag_indices_from(matrix)] += np.float32(DAMPING) * level if level > 0 else np.float32(1)
    return matrix
