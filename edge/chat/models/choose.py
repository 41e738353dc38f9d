"""Turn what `--model` says into what `edge.load` takes, and announce a download before it begins.

An existing path wins, then a name in the folder of models, then a short name of the family, then a hub id.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.chat.models.found import find_in_cache, find_in_folder, hub_cache
from edge.chat.sessions.folder import with_tilde
from edge.errors import ConfigError, EdgeError, UsageError
from edge.short_names import GB, read_short_name

Agree = Callable[[str], bool]
"""Asks a question on the terminal; True for yes."""


def choose_model(name: str, *, models_dir: Path | None, agree: Agree | None, note: Callable[[str], None]) -> str | Path:
    """Find out which model is meant.

    Args:
        name: A path, a name in `models_dir`, a short name, or a hub id.
        models_dir: The folder of models.
        agree: Asks before a download; None downloads without asking.
        note: Writes a line.

    Raises:
        UsageError: The user does not want the download, or a short name has no ready folder.
        ConfigError: It is none of these.
    """
    if Path(name).expanduser().exists():
        return name
    if (path := find_in_folder(name, models_dir)) is not None:
        return path
    short = read_short_name(name)
    if short is None:
        if "/" not in name:
            raise ConfigError(
                f"{name}: no such folder, no model in --models-dir and no short name. "
                "Short names: 2b 4b 8b 32b 30b 235b, with -instruct or -thinking, with -4bit; or give a hub id."
            )
        hub_id, about = name, None
    else:
        assert short.hub_id is not None, "a short name without a ready folder is refused"
        hub_id, about = short.hub_id, short.weight_bytes
    if name.startswith((".", "/", "~")) or find_in_cache(hub_id) is not None:
        return hub_id
    announce_download(hub_id, about=about, agree=agree, note=note)
    return hub_id


def announce_download(hub_id: str, *, about: int | None, agree: Agree | None, note: Callable[[str], None]) -> None:
    """Say what a download would take, and ask where somebody can answer.

    Raises:
        UsageError: The answer was no.
    """
    size = _ask_size(hub_id) or about
    if size is None:
        return  # the hub cannot say: the download itself tells why
    text = f"{hub_id}: {size / GB:.1f} GB to download to {with_tilde(hub_cache())}, once"
    if agree is None:
        note(text)
    elif not agree(f"{text}. Go on?"):
        raise UsageError(f"{hub_id} was not downloaded. Name another model, or: demo.")


def _ask_size(hub_id: str) -> int | None:
    """Ask the hub how large the files are; None when it does not say."""
    from fnmatch import fnmatch

    from huggingface_hub import HfApi, constants

    from edge.checkpoint.files.hub import FILE_PATTERNS, explain_hub_errors

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        with explain_hub_errors(hub_id, None):
            files = HfApi().model_info(hub_id, files_metadata=True).siblings or []
    except EdgeError:
        return None
    sizes = [
        file.size or 0
        for file in files
        if "/" not in file.rfilename and any(fnmatch(file.rfilename, pattern) for pattern in FILE_PATTERNS)
    ]
    return sum(sizes) or None
