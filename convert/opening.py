"""Open what the command line of a converter names: a folder, a downloaded hub id, or one that is streamed.

Tested by tests/unit/convert/gguf/test_companions.py and tests/system/test_convert_mlx_stream.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx

from convert.budget.target import published
from convert.final import partial_path
from convert.partial import SOURCE_FOLDER, Claim, claim_partial
from convert.source import Source, open_source
from convert.stream import open_stream
from edge.checkpoint.files.gguf import MAGIC
from edge.checkpoint.files.hub import resolve_model
from edge.errors import UsageError
from edge.short_names import read_short_name


@contextmanager
def opened_source(
    arguments: argparse.Namespace, out: Path, *, dtype: mx.Dtype
) -> Iterator[tuple[Source, Claim | None]]:
    """Open the source of a conversion; a streamed one lies in the unfinished folder, which is then claimed.

    Args:
        arguments: Of the command line.
        out: The output.
        dtype: What FP8 weights are decoded to.

    Raises:
        EdgeError: The source cannot be converted.
    """
    _refuse_file(arguments.source)
    _refuse_published(arguments.source)
    _prepare_hub(arguments.source)
    if not arguments.stream:
        local = resolve_model(arguments.source, revision=arguments.revision)
        yield _open(arguments, local, dtype), None
        return
    if not is_hub_id(arguments.source):
        raise UsageError(f"--stream downloads a hub id; {arguments.source} is a local folder. Leave --stream out.")
    with claim_partial(out) as claim:
        assert claim.path == partial_path(out), "the stubs lie in the unfinished folder"
        yield _stream(arguments, claim.path / SOURCE_FOLDER, dtype), claim


@contextmanager
def opened_for_plan(arguments: argparse.Namespace, *, dtype: mx.Dtype = mx.bfloat16) -> Iterator[Source]:
    """Open a source without its weights: of a hub id, only headers and small files are fetched.

    Raises:
        EdgeError: The source cannot be converted.
    """
    _refuse_file(arguments.source)
    _prepare_hub(arguments.source)
    if is_hub_id(arguments.source):
        with tempfile.TemporaryDirectory() as folder:
            yield _stream(arguments, Path(folder), dtype)
    else:
        folder_path = Path(arguments.source).expanduser()
        yield _open(arguments, folder_path, dtype)


def is_hub_id(name: str) -> bool:
    """Tell a hub id from a path."""
    return not Path(name).expanduser().exists() and name.count("/") == 1 and not name.startswith((".", "/", "~"))


def shown_source(name: str) -> str:
    """Write the source for a card, without paths of this machine."""
    return name if is_hub_id(name) else Path(name).expanduser().resolve().name


def adapter_lines(source: Source) -> list[str]:
    """Say which adapter was merged, if any."""
    adapter = source.checkpoint.adapter
    return [] if adapter is None else [f"The adapter of {adapter.folder} is merged into the weights."]


def adapter_words(arguments: argparse.Namespace) -> list[str]:
    """Write --adapter for a card, without paths of this machine."""
    return [] if arguments.adapter is None else ["--adapter", shown_source(arguments.adapter)]


def _open(arguments: argparse.Namespace, folder: Path, dtype: mx.Dtype) -> Source:
    return open_source(
        folder,
        name=arguments.source,
        dtype=dtype,
        takes_packed=arguments.from_packed,
        adapter=_adapter_of(arguments),
    )


def _stream(arguments: argparse.Namespace, folder: Path, dtype: mx.Dtype) -> Source:
    return open_stream(
        arguments.source,
        folder,
        revision=arguments.revision,
        dtype=dtype,
        takes_packed=arguments.from_packed,
        adapter=_adapter_of(arguments),
    )


def _adapter_of(arguments: argparse.Namespace) -> Path | None:
    return None if arguments.adapter is None else resolve_model(arguments.adapter)


def _prepare_hub(name: str) -> None:
    """Keep huggingface-hub's bars off what is not a terminal, unless its own variable decides."""
    if is_hub_id(name) and not sys.stderr.isatty() and "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
        # Public there, but re-exported without an __all__, which strict mypy wants.
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        disable_progress_bars()


def _refuse_published(name: str) -> None:
    """Say which repository a published model's name means: a conversion reads its weights."""
    short = None if published(name) is None else read_short_name(name)
    if short is not None:
        raise UsageError(
            f"{name}: a published name, which can be planned from its shapes (--dry-run, `convert plan`). To read "
            f"weights, give a folder or a hub id such as {short.source_id}."
        )


def _refuse_file(name: str) -> None:
    path = Path(name).expanduser()
    if not path.is_file():
        return
    with path.open("rb") as file:
        is_gguf = file.read(len(MAGIC)) == MAGIC
    if is_gguf:
        raise UsageError(
            f"{path}: a GGUF file, whose weights are packed already. `convert repack` makes an MLX folder of it; for "
            "another type, convert the bf16 or FP8 checkpoint it was made from."
        )
