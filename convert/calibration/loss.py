"""The loss whose gradient makes Fisher weights: the model's own predictions, one drawn for every predicted token.

In: the states behind the last layer. Out: their gradient, and the squares of the head's and the embedding's gradients.
With labels drawn from the model, the squared gradient is the curvature of the KL: half of it times a squared change of
a weight is the KL that the change makes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.calibration.arithmetic import rms_norm, rms_norm_back, softmax
from convert.calibration.moments import Floats
from convert.verify.samples import Sample

_SEED = 0x5EED
_ROWS_AT_ONCE = 128  # a row of a large vocabulary takes 0.6 MB, and some copies


class Head:
    """The last norm and the projection to the vocabulary, float32."""

    def __init__(self, norm: Floats, matrix: Floats, epsilon: float) -> None:
        self._norm, self._matrix, self._epsilon = norm, matrix, epsilon

    def turn_back(self, hidden: Floats, sample: Sample, number: int) -> tuple[Floats, float]:
        """Draw labels and bring the gradient of the summed loss back.

        Args:
            hidden: States behind the last layer (L, D).
            sample: The prompt.
            number: Of the prompt, which decides the draw.

        Returns:
            The gradient (L, D), zero where nothing is predicted, and the sum of squares of the projection's.
        """
        draws = np.random.default_rng([_SEED, number])
        result, square = np.zeros_like(hidden), 0.0
        for start in range(0, len(sample.scored), _ROWS_AT_ONCE):
            places = sample.scored[start : start + _ROWS_AT_ONCE]
            states = hidden[places]
            seen = rms_norm(states, self._norm, self._epsilon)
            residual = _residual(seen @ self._matrix.T, draws)
            # Labels are drawn one by one, so that products of two tokens' gradients are zero in the mean.
            square += float((np.square(residual).sum(axis=1) * np.square(seen).sum(axis=1)).sum(dtype=np.float64))
            result[places] = rms_norm_back(states, self._norm, self._epsilon, residual @ self._matrix)
        return result, square


def _residual(logits: Floats, draws: np.random.Generator) -> Floats:
    """Return probabilities less the drawn labels (S, V)."""
    residual = softmax(logits)
    noise = draws.random((len(logits), 1), np.float32)
    labels = (np.cumsum(residual, axis=-1) < noise).sum(axis=-1)
    residual[np.arange(len(labels)), np.minimum(labels, logits.shape[1] - 1)] -= 1
    return residual


def embedding_square(cotangent: Floats, sample: Sample) -> float:
    """Return the sum of squares of the embedding's gradient, given that of the embedded prompt (L, D)."""
    is_text = np.ones(sample.length, np.bool_)
    is_text[sample.visual_rows] = False
    ids: NDArray[np.int32] = np.asarray(sample.prompt.token_ids)[is_text].astype(np.int32)
    tokens, places = np.unique(ids, return_inverse=True)
    sums = np.zeros((len(tokens), cotangent.shape[1]), np.float32)
    np.add.at(sums, places, cotangent[is_text])
    return float(np.square(sums, dtype=np.float64).sum())
