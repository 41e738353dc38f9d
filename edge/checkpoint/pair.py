"""Find and check the two files of a GGUF model: the text model and its projector.

In: the path of a text file (or of a folder with one), perhaps that of its projector. Out: `GgufPair`, checked name by
name and shape by shape; nothing is read yet.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import mlx.core as mx

from edge.checkpoint.adapter_config import CONFIG_NAME as ADAPTER_CONFIG
from edge.checkpoint.files.gguf import MAGIC, SPLIT_NAME, GgufFile, open_gguf
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.pack import mlx_form
from edge.checkpoint.gguf_config import read_config
from edge.checkpoint.names.gguf import projector_table, text_table
from edge.checkpoint.names.hub import PATCH_EMBED, packed_targets
from edge.checkpoint.names.ops import Shape
from edge.checkpoint.names.table import Rule, Table, summarize_names
from edge.config import LayerQuantization, ModelConfig
from edge.errors import ConfigError, EdgeError, WeightError
from edge.records import dataclass

_LOG = logging.getLogger(__name__)
SUFFIX = ".gguf"
PROJECTOR_MARK = "mmproj"
_TYPE_SUFFIX = re.compile(r"[-.](UD-)?(i?q\d\w*|bf16|f16|f32|fp16|fp32|mxfp4\w*|nvfp4)$", re.IGNORECASE)
# Of several projectors of one model, the first of these; the others hold the same or fewer bits.
_TYPE_ORDER = ("f16", "bf16", "f32", "q8_0")
_NEVER_PACKED = (PATCH_EMBED, "vision_tower.pos_embed.weight")


@dataclass(frozen=True, slots=True)
class GgufPair:
    """A text file and a projector that fit together and fit their configuration.

    Attributes:
        config: What their metadata says.
        text: The decoder's file.
        projector: The vision tower's file.
        rules: How their tensors become parameters.
    """

    config: ModelConfig
    text: GgufFile
    projector: GgufFile
    rules: tuple[Rule, ...]

    def file_of(self, source: str) -> GgufFile:
        """Return the file that holds a tensor."""
        return self.text if source in self.text.tensors else self.projector

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Decode a tensor, or rows of its first axis, float32."""
        file = self.file_of(name)
        tensor = file.tensors[name]
        stop = tensor.shape[0] if stop is None else stop
        inner = prod(tensor.shape[1:-1]) if len(tensor.shape) > 1 else 1
        first, last = (start * inner, stop * inner) if len(tensor.shape) > 1 else (0, 1)
        values = mx.array(decode(file.read_bytes(name, first, last), tensor.type))
        return values.reshape(stop - start, *tensor.shape[1:]) if len(tensor.shape) > 1 else values[0, start:stop]

    def packed_form(self, rule: Rule) -> LayerQuantization | None:
        """Return the packed form of a rule's parameter; None for one that is kept as floats."""
        name, source = rule.targets[0].name, rule.sources[0]
        if rule.ops or name in _NEVER_PACKED or len(rule.targets[0].shape) < 2:
            return None
        return mlx_form(self.file_of(source).tensors[source].type)

    def packed_modules(self) -> dict[str, LayerQuantization]:
        """Return module path -> packed form."""
        forms = ((rule.targets[0].name.removesuffix(".weight"), self.packed_form(rule)) for rule in self.rules)
        return {module: form for module, form in forms if form is not None}

    def weight_bytes(self, *, itemsize: int) -> int:
        """Count the bytes of all parameters in memory when floats have `itemsize` bytes."""
        sizes = {"float": itemsize, "U32": 4, "U8": 1}
        total = 0
        for rule in self.rules:
            form, target = self.packed_form(rule), rule.targets[0]
            parts = [target] if form is None else packed_targets(target.name, target.shape, form)
            total += sum(prod(part.shape) * sizes[part.stored_as] for part in parts)
        return total


def is_gguf(path: Path) -> bool:
    """Tell whether a path is a GGUF model: a .gguf file, or a folder that holds one and no config.json."""
    if path.is_dir():
        return not (path / "config.json").exists() and any(_text_files(path))
    return path.suffix.lower() == SUFFIX or _has_magic(path)


def _has_magic(path: Path) -> bool:
    """Tell a GGUF file under another name, such as a blob of a cache."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_pair(path: Path, projector: Path | None = None) -> GgufPair:
    """Open a GGUF model.

    Args:
        path: The text file, any part of it, or a folder that holds one.
        projector: The projector; None looks beside the text file.

    Raises:
        ConfigError: No such file, or the metadata is not a Qwen3-VL's.
        WeightError: A file is broken, the projector is missing or of another model, or tensors do not fit.
    """
    text = open_gguf(_choose_text(path))
    if (text.path.parent / ADAPTER_CONFIG).exists():
        _LOG.warning("%s: not merged, a GGUF file's weights are final; convert the folder with it", ADAPTER_CONFIG)
    if text.metadata.get("general.architecture") == "clip":
        raise ConfigError(
            f"{text.path}: this is a projector. Give the text model with --model, and this file with --mmproj."
        )
    if projector is not None:
        return _join(text, open_gguf(_existing(projector)))
    candidates = find_projectors(text.path)
    if not candidates:
        raise WeightError(
            f"{text.path}: expected its projector beside it (mmproj-{base_name(text.path)}-F16.gguf, mmproj-F16.gguf "
            "or alike), found none. Download it, or name it with --mmproj."
        )
    problems: list[EdgeError] = []
    for candidate in candidates:
        try:
            pair = _join(text, open_gguf(candidate))
            _check_same_name(text, pair.projector)
        except EdgeError as error:
            problems.append(error)
        else:
            return pair
    raise problems[0]


def find_projectors(text: Path) -> list[Path]:
    """List projectors for a text file, best first: those of its name, else those without a model's name."""
    folders = [text.parent, text.parent.parent] if SPLIT_NAME.fullmatch(text.name) else [text.parent]
    found = [
        path
        for folder in folders
        for path in sorted(folder.glob(f"*{SUFFIX}"))
        if PROJECTOR_MARK in path.name.lower() and path != text
    ]
    base = _normal(base_name(text))
    own = [path for path in found if _normal(base_name(path)) == base]
    nameless = [path for path in found if not _normal(base_name(path))]
    return sorted(own or nameless or found, key=_type_rank)


def _join(text: GgufFile, projector: GgufFile) -> GgufPair:
    config = read_config(text, projector)
    rules = (*_plan(text, text_table(config)), *_plan(projector, projector_table(config)))
    return GgufPair(config, text, projector, rules)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor as the tables see it: any block type counts as floats."""

    shape: Shape
    dtype: str = "F32"


def _plan(file: GgufFile, table: Table) -> Sequence[Rule]:
    match = table.match({name: _Stored(tensor.shape) for name, tensor in file.tensors.items()})
    if match.mismatched:
        name, problem = next(iter(match.mismatched.items()))
        raise WeightError(f"{file.path}: {name} {problem}, going by the metadata. Download the file again.")
    if match.missing:
        raise WeightError(
            f"{file.path}: expected {summarize_names(match.missing)}, not found. Download the file again."
        )
    if match.unexpected:
        raise WeightError(
            f"{file.path}: found tensors that a Qwen3-VL does not have: {summarize_names(match.unexpected)}. "
            "Choose another conversion."
        )
    return table.rules


def _check_same_name(text: GgufFile, projector: GgufFile) -> None:
    """Refuse a projector that was only found and says it belongs to another model of the same sizes."""
    ours, theirs = (_model_name(file.metadata) for file in (text, projector))
    if ours and theirs and ours != theirs:
        raise WeightError(
            f"{projector.path}: the projector says it belongs to {projector.metadata['general.name']}, the model is "
            f"{text.metadata['general.name']}. Name the right one with --mmproj."
        )


def _model_name(metadata: Mapping[str, object]) -> str:
    return _normal(str(metadata.get("general.name", "")))


def _choose_text(path: Path) -> Path:
    if not path.is_dir():
        return _existing(path)
    found = sorted(_text_files(path))
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:6])
        raise ConfigError(f"{path}: expected one GGUF model, found {len(found)}: {names}. Name the file.")
    if not found:
        raise ConfigError(f"{path}: expected a .gguf file in the folder, found none. Give the file of a text model.")
    return found[0]


def _text_files(folder: Path) -> Iterator[Path]:
    for path in folder.glob(f"*{SUFFIX}"):
        match = SPLIT_NAME.fullmatch(path.name)
        if PROJECTOR_MARK not in path.name.lower() and (match is None or int(match["number"]) == 1):
            yield path


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file. Give a .gguf file.")
    return path


def base_name(path: Path) -> str:
    """Return a file's name without mmproj, part number and type: what both files of a model share."""
    match = SPLIT_NAME.fullmatch(path.name)
    stem = match["stem"] if match else path.name.removesuffix(SUFFIX)
    stem = re.sub(rf"(^|[-._]){PROJECTOR_MARK}([-._]|$)", "-", stem, flags=re.IGNORECASE)
    stem = re.sub(r"^(model-)?(?=[bf]+\d\d$)", "-", stem.strip("-"), flags=re.IGNORECASE)
    return _TYPE_SUFFIX.sub("", stem if stem.startswith("-") else f"-{stem}").strip("-")


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _type_rank(path: Path) -> tuple[int, str]:
    stem = path.name.lower().removesuffix(SUFFIX)
    ranks = [rank for rank, kind in enumerate(_TYPE_ORDER) if stem.endswith(kind) and not stem.endswith(f"b{kind}")]
    return (min(ranks, default=len(_TYPE_ORDER)), path.name)
