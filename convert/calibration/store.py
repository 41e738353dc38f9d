"""Keep what an unfinished calibration has reached, file by file; one that is there is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from convert.disk import OutputError, explain_disk_errors
from convert.source import sha256_of

Arrays = Mapping[str, NDArray[Any]]  # Any: of any dtype
_STATES = "state-"  # how the names of files begin that the finished folder does not hold


class RunStore:
    """Files of one folder by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        """Tell whether arrays were saved."""
        return self._path(name).exists()

    def save(self, name: str, arrays: Arrays) -> None:
        """Write arrays, whole or not at all.

        Raises:
            OutputError: The disk is full or fails.
        """
        path = self._path(name)
        partial = path.with_suffix(".partial")
        with explain_disk_errors(path):
            try:
                save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, partial)
            except SafetensorError as error:
                raise OutputError(
                    f"{path}: cannot be written ({error}). Make room and run the same command again to go on."
                ) from None
            partial.chmod(0o644)  # safetensors makes files for the user alone
            os.replace(partial, path)

    def load(self, name: str) -> dict[str, NDArray[Any]]:  # Any: as above
        """Read arrays."""
        return load_file(self._path(name))

    def load_one(self, name: str, key: str) -> NDArray[Any]:  # Any: as above
        """Read one array."""
        with safe_open(self._path(name), framework="numpy") as file:
            array: NDArray[Any] = file.get_tensor(key)  # Any: as above
        return array

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of every file of arrays."""
        return {path.name: sha256_of(path) for path in sorted(self._folder.glob("*.safetensors"))}

    def save_state(self, name: str, arrays: Arrays) -> None:
        """Write arrays that only the run needs."""
        self.save(_STATES + name, arrays)

    def load_state(self, name: str) -> dict[str, NDArray[Any]]:  # Any: as above
        """Read what `save_state` wrote."""
        return self.load(_STATES + name)

    def has_state(self, name: str) -> bool:
        """Tell whether a state was saved."""
        return self.has(_STATES + name)

    def drop_state(self, name: str) -> None:
        """Remove a state that nothing needs any more."""
        with explain_disk_errors(self._folder):
            self._path(_STATES + name).unlink(missing_ok=True)

    def clear_states(self) -> None:
        """Remove everything that the finished folder does not hold."""
        with explain_disk_errors(self._folder):
            for pattern in (f"{_STATES}*", "*.partial"):
                for path in self._folder.glob(pattern):
                    path.unlink()

    def write_record(self, name: str, record: Mapping[str, Any]) -> None:  # Any: JSON
        """Write a JSON file."""
        path = self._folder / name
        with explain_disk_errors(path):
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def num_bytes(self) -> int:
        """Count the bytes on disk."""
        return sum(path.stat().st_size for path in self._folder.iterdir() if path.is_file())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"
