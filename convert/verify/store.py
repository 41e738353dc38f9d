"""Keep the outputs of finished steps on disk, so that a killed run goes on where it stopped.

A step's file appears under its name only when it is complete. Folders are named by a digest of everything that
decides the numbers; another checkpoint, another prompt or another type gets another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from convert.disk import OutputError, explain_disk_errors, write_text
from convert.verify.stages import Array, Experts, LayerOutput

_FORMAT = 1  # raise it when the files change their meaning


class StateStore:
    """Outputs of steps in one folder; the last step read or written stays in memory."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, or take up what an earlier run left in it.

        Raises:
            OutputError: It cannot be made.
        """
        with explain_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._last: tuple[str, dict[str, NDArray[Any]]] | None = None  # Any: float32 states and int32 experts

    def has(self, name: str) -> bool:
        """Tell whether a step is complete."""
        return self._path(name).exists()

    def save(self, name: str, outputs: Sequence[LayerOutput]) -> None:
        """Keep a step's outputs."""
        arrays: dict[str, NDArray[Any]] = {}  # Any: as above
        for index, output in enumerate(outputs):
            arrays[f"{index}"] = np.ascontiguousarray(output.hidden, np.float32)
            if output.experts is not None:
                arrays[f"{index}.experts"] = np.ascontiguousarray(output.experts, np.int32)
            if output.router_input is not None:
                arrays[f"{index}.router_input"] = np.ascontiguousarray(output.router_input, np.float32)
        self.save_arrays(name, arrays)

    def save_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:  # Any: of any dtype
        """Keep named arrays as a step.

        Raises:
            OutputError: The disk is full or fails.
        """
        path = self._path(name)
        partial = path.with_suffix(".partial")
        try:
            save_file(dict(arrays), partial)
        except SafetensorError as error:
            raise OutputError(
                f"{path}: cannot be written ({error}). Make room, or choose another folder with --work; the same "
                "command goes on."
            ) from None
        os.replace(partial, path)
        self._last = (name, dict(arrays))

    def hidden(self, name: str) -> list[Array]:
        """Return the states of a step."""
        arrays = self.arrays(name)
        return [arrays[key] for key in sorted((key for key in arrays if key.isdigit()), key=int)]

    def experts(self, name: str) -> list[Experts]:
        """Return the experts of a step, empty if it has none."""
        return self._parts(name, ".experts")

    def router_inputs(self, name: str) -> list[Array]:
        """Return what the router of a step saw, empty if it has none."""
        return self._parts(name, ".router_input")

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:  # Any: of any dtype
        """Return everything that was kept of a step."""
        if self._last is None or self._last[0] != name:
            self._last = (name, load_file(self._path(name)))
        return self._last[1]

    def drop(self, name: str) -> None:
        """Remove a step that nothing needs any more."""
        self._path(name).unlink(missing_ok=True)

    def num_bytes(self) -> int:
        """Count the bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def _parts(self, name: str, ending: str) -> list[NDArray[Any]]:  # Any: as above
        arrays = self.arrays(name)
        keys = [key for key in arrays if key.endswith(ending)]
        return [arrays[key] for key in sorted(keys, key=lambda key: int(key.split(".")[0]))]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that is never seen half."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def digest_of(*parts: object) -> str:
    """Digest values that print what they are; 20 hexadecimal digits."""
    return hashlib.sha256(repr((_FORMAT, *parts)).encode()).hexdigest()[:20]
