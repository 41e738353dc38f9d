"""Read a calibration: a folder with `calibration.json` and one safetensors file per block of the model.

In: the folder that `python -m convert calibrate` made. Out: by parameter name as in an unpacked MLX folder (and expert
where they are stacked): input second moments, their diagonal, tokens seen, and the Fisher weight.

A block's file holds, for each of its sites (`attention`, `mixed`, `mlp`, `middle`; `head`):

* `SITE.matrix`: mean of x x^T over all tokens, a packed triangle, float32; levelled already at `middle`
* `SITE.matrices`: the same per expert, (E, triangle); blended and levelled already at `middle`, its own at `mlp`
* `SITE.rows`, `SITE.experts`: instead of the matrices at `mlp`, where that is smaller: the inputs themselves (T, in) as
  the bits of bfloat16, and the experts (T, A) that each token went to
* `SITE.counts`: tokens (1,) int64, or per expert (E,)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from convert.calibration.identity import CalibratedModel
from convert.calibration.moments import Floats, damped, own_share, shrunk, triangle_diagonal, unpack_triangle
from convert.calibration.sites import MIDDLE, Site, site_of
from convert.source import sha256_of
from edge.errors import ConfigError, WeightError

FORMAT = 1  # raise it when the files change their meaning
RECORD = "calibration.json"
BUILTIN = "builtin"
_MOST_KEPT = 4  # arrays of a layer that stay in memory: its experts come one after another
_AGAIN = "Make it again with `python -m convert calibrate`."
Array = NDArray[Any]  # float32, or bits and numbers


class Calibration:
    """What a model's matrices saw.

    Attributes:
        path: The folder.
        model: Which model it is of.
        record: Everything in `calibration.json`.
    """

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:  # Any: JSON
        self.path = path
        self.record = record
        self.model = CalibratedModel.from_record(record["model"])
        self._fisher = _fisher_of(record["fisher"])
        self._tokens, self._prompts = int(record["prompts"]["tokens"]), str(record["prompts"]["source"])
        self._hashes = {str(name): str(value) for name, value in record["files"].items()}
        self._kept: OrderedDict[tuple[str, str], Array] = OrderedDict()
        self._names: dict[str, frozenset[str]] = {}
        self._lock = Lock()

    @classmethod
    def open(cls, path: Path) -> Calibration:
        """Open a calibration; its arrays are read, and held against their sha256, when they are asked for.

        Raises:
            ConfigError: It is none, or one of another format.
            WeightError: A file that the record names is not there.
        """
        try:
            record = json.loads((path / RECORD).read_text(encoding="utf-8"))
            found = record["format"]
        except OSError as error:
            raise ConfigError(
                f"{path}: expected a calibration, {RECORD} cannot be read ({error.strerror}). {_AGAIN}"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ConfigError(f"{path / RECORD}: expected the record of a calibration. {_AGAIN}") from None
        if found != FORMAT:
            raise ConfigError(f"{path}: expected a calibration of format {FORMAT}, found {found!r}. {_AGAIN}")
        try:
            calibration = cls(path, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError(f"{path / RECORD}: a part of the record is missing or broken. {_AGAIN}") from None
        missing = sorted(name for name in calibration._hashes if not (path / name).is_file())
        if missing:
            raise WeightError(f"{path}: {len(missing)} of its files are missing, {missing[0]} the first. {_AGAIN}")
        return calibration

    @property
    def digest(self) -> str:
        """Tell this calibration from every other: the record holds the sha256 of all files."""
        return hashlib.sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()

    @property
    def label(self) -> str:
        """Name it for cards: its tokens and where its prompts came from."""
        source = "built-in prompts" if self._prompts == BUILTIN else "prompts of the maker's own"
        return f"a calibration on {self._tokens:,} tokens of {source}"

    def has(self, tensor: str) -> bool:
        """Tell whether a parameter's inputs were seen."""
        site = site_of(tensor)
        return site is not None and f"{site.key}.counts" in self._arrays_of(site.block)

    def fisher(self, tensor: str) -> float | None:
        """Return the mean over a parameter's numbers of the squared gradient of the loss per predicted token.

        Half of it times the sum of squared errors of the weights predicts the KL in nats per token. None where it was
        not measured.
        """
        return self._fisher.get(tensor)

    def tokens(self, tensor: str, expert: int | None = None) -> int:
        """Count the tokens a matrix saw; those of all experts if `expert` is None."""
        site = self._site(tensor)
        counts = self._array(site, "counts")
        return int(counts.sum() if expert is None else counts[expert])

    def moments(self, tensor: str, expert: int | None = None) -> Floats:
        """Return the mean of x x^T over a matrix's inputs (in, in), blended, shrunk and damped: never singular.

        Args:
            tensor: Name of the parameter.
            expert: Number of the expert where they are stacked.

        Raises:
            WeightError: The calibration lacks it, or its file is broken.
        """
        site = self._site(tensor)
        if not self._is_stacked(site):
            matrix = unpack_triangle(self._array(site, "matrix"))
            return damped(matrix if site.key == MIDDLE else shrunk(matrix, self.tokens(tensor)))
        assert expert is not None, f"{tensor} is a stack; name the expert"
        if site.key == MIDDLE:
            return damped(unpack_triangle(self._row(site, "matrices", expert)))
        return damped(self._blended(site, expert))

    def diagonal(self, tensor: str, expert: int | None = None) -> Floats:
        """Return the mean square of each input (in,), blended, as an importance for the columns.

        Args and errors as for `moments`.
        """
        site = self._site(tensor)
        if not self._is_stacked(site):
            return triangle_diagonal(self._array(site, "matrix"))
        assert expert is not None, f"{tensor} is a stack; name the expert"
        if site.key == MIDDLE:
            return triangle_diagonal(self._row(site, "matrices", expert))
        shared = triangle_diagonal(self._array(site, "matrix"))
        share = np.float32(own_share(self.tokens(tensor, expert), len(shared)))
        if "mlp.rows" in self._arrays_of(site.block):
            own = np.square(self._rows_of(site, expert)).sum(axis=0) / np.float32(max(1, self.tokens(tensor, expert)))
        else:
            own = triangle_diagonal(self._row(site, "matrices", expert))
        blended: Floats = share * own + (1 - share) * shared
        return blended

    def _blended(self, site: Site, expert: int) -> Floats:
        """Blend an expert's own moments with those of its layer, by its tokens."""
        shared = unpack_triangle(self._array(site, "matrix"))
        if f"{site.key}.rows" in self._arrays_of(site.block):
            rows = self._rows_of(site, expert)
            num_tokens, all_tokens = len(rows), len(self._array(site, "experts"))
            own = rows.T @ rows
            own /= np.float32(max(1, num_tokens))
        else:
            counts = self._array(site, "counts")
            num_tokens, all_tokens = int(counts[expert]), int(counts.max())
            own = unpack_triangle(self._row(site, "matrices", expert))
        share = np.float32(own_share(num_tokens, len(shared)))
        own = shrunk(own, num_tokens) * share
        own += shrunk(shared, all_tokens) * (1 - share)
        return own

    def _rows_of(self, site: Site, expert: int) -> Floats:
        chosen = (self._array(site, "experts") == expert).any(axis=1)
        bits = self._array(site, "rows")[chosen]
        rows: Floats = np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
        return rows

    def _is_stacked(self, site: Site) -> bool:
        names = self._arrays_of(site.block)
        return f"{site.key}.rows" in names or f"{site.key}.matrices" in names

    def _site(self, tensor: str) -> Site:
        site = site_of(tensor)
        if site is None or not self.has(tensor):
            raise WeightError(f"{self.path}: holds no inputs of {tensor}. {_AGAIN}")
        return site

    def _arrays_of(self, block: str) -> frozenset[str]:
        with self._lock:
            if block not in self._names:
                self._names[block] = self._open_block(block)
            return self._names[block]

    def _open_block(self, block: str) -> frozenset[str]:
        """Return the names of a block's arrays, once its file was held against the record; of most blocks, none."""
        path = self._file(block)
        if path.name not in self._hashes:
            return frozenset()
        try:
            sha256_of(path, expected=self._hashes[path.name])
            with safe_open(path, framework="numpy") as file:
                return frozenset(file.keys())
        except (OSError, SafetensorError, WeightError):
            raise self._broken(block) from None

    def _array(self, site: Site, part: str) -> Array:
        """Read an array, or take it from the last ones; callers do not write to it."""
        place = (site.block, f"{site.key}.{part}")
        with self._lock:
            if place not in self._kept:
                self._kept[place] = self._read(*place, None)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(place)
            return self._kept[place]

    def _row(self, site: Site, part: str, index: int) -> Array:
        """Read one row of an array; the others stay on disk."""
        return self._read(site.block, f"{site.key}.{part}", index)

    def _read(self, block: str, name: str, index: int | None) -> Array:
        try:
            with safe_open(self._file(block), framework="numpy") as file:
                array: Array = file.get_tensor(name) if index is None else file.get_slice(name)[index]
        except (OSError, SafetensorError, IndexError):
            raise self._broken(block) from None
        return array

    def _broken(self, block: str) -> WeightError:
        return WeightError(f"{self._file(block)}: missing, cut or altered since the calibration was made. {_AGAIN}")

    def _file(self, block: str) -> Path:
        return self.path / f"{block}.safetensors"


def _fisher_of(raw: Mapping[str, Any]) -> dict[str, float]:  # Any: JSON
    """Read the Fisher weights of a record. Raises ValueError or TypeError where one is no weight."""
    found = {str(name): float(value) for name, value in raw.items()}
    if not all(0 <= value < math.inf for value in found.values()):
        raise ValueError("a Fisher weight is a number from 0 up")
    return found
