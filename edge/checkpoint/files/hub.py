"""Turn what a user calls a model into a local folder, downloading it when it is a hub id.

In: a folder, a file, or `org/name`. Out: a path. Only data files are fetched, never code or pickles;
progress, resuming and the offline mode (`HF_HUB_OFFLINE=1`) are huggingface-hub's own.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edge.checkpoint.files.hub_gguf import download_gguf
from edge.errors import ConfigError, EdgeError, WeightError

T = TypeVar("T")
RETRY_WAITS_S = (1, 2, 4, 8)
_PASSING_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_LOG = logging.getLogger(__name__)
FILE_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "merges.txt")
_SUBFOLDERS = "*/*"
_HUB_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*)(:(?P<kind>[\w.\-]+))?")


def resolve_model(model: str | Path, *, revision: str | None = None) -> Path:
    """Return the local path of a model.

    Args:
        model: A folder, a file, an entry of the hub's cache, or a hub id `org/name`, for GGUF files with or without a
            type as `org/name:Q4_K_M`. An existing path wins over a hub id.
        revision: Branch, tag or commit of a hub id; the main branch if None.

    Raises:
        ConfigError: Neither an existing path nor a hub id.
        WeightError: The download failed, or offline and not downloaded before.
    """
    path = Path(os.path.expanduser(model))  # unlike Path.expanduser, leaves an unknown ~name as it is
    try:
        if str(model) and path.exists():
            return _snapshot_of(path)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ConfigError(f"{model}: cannot be read ({error.strerror}). Check the path.") from None
    match = None if isinstance(model, Path) else _HUB_ID.fullmatch(model)
    if match is None:
        what = (
            "no such file. Check the path" if path.suffix.lower() == ".gguf" else "no such folder. Give a model folder"
        )
        raise ConfigError(f"{model}: {what}, or a hub id such as org/name.")
    repo_id, kind = match["repo"], match["kind"]
    if kind is not None or "gguf" in repo_id.lower():
        return download_gguf(repo_id, kind, revision=revision, ask=ask_hub)
    return _download(repo_id, revision)


def _snapshot_of(path: Path) -> Path:
    """Find the files behind an entry of the hub's cache (models--org--name); other paths are their own."""
    snapshots = path / "snapshots"
    if not path.name.startswith("models--") or not snapshots.is_dir():
        return path
    main = path / "refs" / "main"
    commit = main.read_text(errors="replace").strip() if main.is_file() else ""
    kept = sorted(entry for entry in snapshots.iterdir() if entry.is_dir())
    named = [entry for entry in kept if entry.name == commit] or kept
    if len(named) != 1:
        raise ConfigError(
            f"{path}: expected one downloaded revision, found {len(named)}. Name a folder in {snapshots}."
        )
    return named[0]


def _download(repo_id: str, revision: str | None) -> Path:
    def download() -> str:
        # Late: the import takes a noticeable part of the start-up time, and a folder needs none of it.
        from huggingface_hub import snapshot_download

        return snapshot_download(
            repo_id, revision=revision, allow_patterns=list(FILE_PATTERNS), ignore_patterns=[_SUBFOLDERS]
        )

    return Path(ask_hub(download, repo_id, revision))


def ask_hub(action: Callable[[], T], repo_id: str, revision: str | None, *, was_reached: bool = False) -> T:
    """Ask the hub for something; ask again after a failure that may pass.

    Args:
        action: Asks with huggingface-hub's client; what it has received must not be lost by asking again.
        repo_id: What is asked for, for messages.
        revision: Of it.
        was_reached: Whether the hub answered before: then even a connection that cannot be made is tried again.

    Raises:
        ConfigError: The hub does not allow such a name.
        WeightError: No such repository or revision, no access, or no connection.
    """
    failures: tuple[type[Exception], ...] = (OSError, *_transport_errors())  # the client's own errors are OSErrors too
    with explain_hub_errors(repo_id, revision):
        for wait_s in RETRY_WAITS_S:
            try:
                return action()
            except failures as error:
                if not _may_pass(error, was_reached=was_reached):
                    raise
                _LOG.info("%s: %s; asked again in %d s", repo_id, type(error).__name__, wait_s)
            time.sleep(wait_s)
        return action()


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return the base of all transport errors: httpx's in huggingface-hub 1.x, httpx2's since 2.0."""
    from huggingface_hub import errors

    return (errors.HTTPError,)  # type: ignore[attr-defined]  # imported there, not exported


def _may_pass(error: BaseException | None, *, was_reached: bool) -> bool:
    """Tell a busy hub, a broken or a slow connection; the client wraps them in errors of its own."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            return status in _PASSING_STATUSES
        name = type(error).__name__
        if name == "OfflineModeIsEnabled":
            return False
        if isinstance(error, ConnectionError | TimeoutError) or (
            isinstance(error, _transport_errors()) and name != "ConnectError"
        ):
            return True
        if name == "ConnectError":
            return was_reached
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def explain_hub_errors(repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn failures of the hub's client into one line that says what to do.

    Args:
        repo_id: What is asked for.
        revision: Of it, for the message.

    Raises:
        ConfigError: The hub does not allow such a name.
        WeightError: No such repository or revision, no access, or no connection.
    """
    from huggingface_hub.errors import HfHubHTTPError

    client: tuple[type[Exception], ...] = (HfHubHTTPError, *_transport_errors(), OSError)
    unreadable: tuple[type[Exception], ...] = (ValueError, TypeError, KeyError, AttributeError)
    try:
        yield
    except client + unreadable as error:
        known = _explained(error, repo_id, revision)
        if known is None and isinstance(error, client):
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            known = WeightError(f"{repo_id}: download failed ({line[:200]}). Try again; it goes on where it stopped.")
        raise known or WeightError(
            f"{repo_id}: what answered is not the hub ({type(error).__name__}); a network may want a login in the "
            "browser first. Try again after that."
        ) from None


def _explained(error: Exception, repo_id: str, revision: str | None) -> EdgeError | None:
    """Say what an error of the client means where it has a class of its own; special classes before general ones."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.HFValidationError):
        return ConfigError(f"{repo_id}: neither a local folder nor a valid hub id org/name. Check the spelling.")
    if isinstance(error, errors.GatedRepoError):
        return WeightError(
            f"{repo_id}: access is restricted. Accept its terms on the hub and log in with `hf auth login`."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return WeightError(
            f"{repo_id}: neither a local folder nor a repository on the hub (or a private one). Check the spelling."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return WeightError(f"{repo_id}: revision {revision!r} is not on the hub. Check the spelling.")
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        is_forbidden = constants.HF_HUB_OFFLINE
        why = "HF_HUB_OFFLINE forbids it. Unset that" if is_forbidden else "the hub cannot be reached. Go online once"
        return WeightError(f"{repo_id}: not (completely) downloaded yet, and {why}, or give a local folder.")
    return None
