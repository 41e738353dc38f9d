"""Keep what the vision tower saw, by the digest of a picture's pixels and settings, bounded in bytes.

In: a digest. Out: the whole `VisionOutput`, so that features never come back without DeepStack (PEERS 5).
"""

from __future__ import annotations

from collections import OrderedDict

from edge.model.types import VisionOutput


class VisionCache:
    """Least recently used media go first; one that alone is over the limit is not kept."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._outputs: OrderedDict[str, VisionOutput] = OrderedDict()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._outputs)

    def find(self, digest: str) -> VisionOutput | None:
        """Return the output for a digest, or None."""
        output = self._outputs.get(digest)
        if output is not None:
            self._outputs.move_to_end(digest)
        return output

    def keep(self, digest: str, output: VisionOutput) -> None:
        """Remember an evaluated output."""
        size_bytes = vision_output_bytes(output)
        if digest in self._outputs or size_bytes > self._max_bytes:
            return
        self._outputs[digest] = output
        self.nbytes += size_bytes
        while self.nbytes > self._max_bytes:
            _, dropped = self._outputs.popitem(last=False)
            self.nbytes -= vision_output_bytes(dropped)


def vision_output_bytes(output: VisionOutput) -> int:
    """Bytes of the features and every DeepStack level."""
    return int(output.features.nbytes) + sum(int(level.nbytes) for level in output.deepstack)
