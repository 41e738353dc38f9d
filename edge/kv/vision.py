"""Keep what the vision tower saw, by the digest of a picture's pixels and settings, bounded in bytes.

In: a digest. Out: the whole `VisionOutput`, so that features never come back without their DeepStack levels.
"""

from __future__ import annotations

from collections import OrderedDict

from edge.model.types import VisionOutput


class VisionMemory:
    """Vision results, the least recently used first. For the thread that owns the model only: nothing here locks."""

    def __init__(self, *, max_bytes: int) -> None:
        """Make an empty memory; a result that alone is over `max_bytes` is not kept."""
        self._max_bytes = max_bytes
        self._outputs: OrderedDict[str, VisionOutput] = OrderedDict()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._outputs)

    @property
    def nbytes(self) -> int:
        """Bytes of all results held."""
        return self._nbytes

    def find(self, digest: str) -> VisionOutput | None:
        """Return the output for a digest, or None."""
        output = self._outputs.get(digest)
        if output is not None:
            self._outputs.move_to_end(digest)
        return output

    def keep(self, digest: str, output: VisionOutput) -> None:
        """Remember an evaluated output."""
        num_bytes = vision_output_bytes(output)
        if num_bytes > self._max_bytes or self.find(digest) is not None:
            return
        self.release(self._nbytes + num_bytes - self._max_bytes)
        self._outputs[digest] = output
        self._nbytes += num_bytes

    def release(self, num_bytes: int) -> int:
        """Drop the least recently used until so many bytes are free; returns the bytes dropped."""
        before = self._nbytes
        while self._outputs and before - self._nbytes < num_bytes:
            _, dropped = self._outputs.popitem(last=False)
            self._nbytes -= vision_output_bytes(dropped)
        return before - self._nbytes

    def drop_all(self) -> None:
        """Forget everything."""
        self._outputs.clear()
        self._nbytes = 0


def vision_output_bytes(output: VisionOutput) -> int:
    """Bytes of the features and every DeepStack level."""
    return int(output.features.nbytes) + sum(int(level.nbytes) for level in output.deepstack)
