"""Choose and download what is needed of a hub repository with GGUF files: one text model and its projector.

In: a repository and perhaps a type such as Q4_K_M. Out: the path of the text file in the hub's cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edge.errors import ConfigError, WeightError

T = TypeVar("T")
AskHub = Callable[[Callable[[], T], str, str | None], T]
USUAL_TYPES = ("Q4_K_M", "Q8_0", "Q4_K_S", "Q4_0", "Q5_K_M", "Q6_K", "BF16", "F16")
_PROJECTOR_TYPES = ("f16", "bf16", "f32", "q8_0")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


def choose_files(names: Sequence[str], kind: str | None, *, where: str) -> tuple[str, list[str]]:
    """Choose the text file and everything that belongs to it.

    Args:
        names: Paths in the repository.
        kind: Type of the text file, in any case; None takes the first of `USUAL_TYPES` that is there.
        where: The repository, for messages.

    Returns:
        The text file (its first part), and all files to download.

    Raises:
        ConfigError: No GGUF file, none of that type, or several of it.
    """
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf"))
    texts = [name for name in ggufs if "mmproj" not in Path(name).name.lower() and _number(name) == 1]
    kinds = [kind] if kind else [*USUAL_TYPES, ""]
    chosen = next((found for each in kinds if (found := [name for name in texts if _is_of_kind(name, each)])), [])
    if len(chosen) != 1:
        listed = ", ".join(Path(name).name for name in chosen or texts) or "none"
        wanted = f"one GGUF model of type {kind}" if kind else "a GGUF model"
        raise ConfigError(
            f"{where}: expected {wanted}, found {listed}. Name a type, such as {where.split(':')[0]}:Q8_0."
        )
    text = chosen[0]
    stem = _PART.sub("", text)
    parts = [name for name in ggufs if name == text or (_PART.search(name) and _PART.sub("", name) == stem)]
    projectors = sorted((name for name in ggufs if "mmproj" in Path(name).name.lower()), key=_projector_rank)
    return text, [*parts, *projectors[:1]]


def download_gguf(repo_id: str, kind: str | None, *, revision: str | None, ask: AskHub[object]) -> Path:
    """Download one GGUF model; offline, one that was downloaded before.

    Args:
        repo_id: Hub id org/name.
        kind: Type of the text file.
        revision: Branch, tag or commit.
        ask: Calls the hub, again after failures that may pass, and explains its errors.

    Raises:
        ConfigError: The repository holds no such file.
        WeightError: The download failed, or offline and not downloaded before.
    """
    from huggingface_hub import HfApi, snapshot_download

    where = repo_id if kind is None else f"{repo_id}:{kind}"
    try:
        info = ask(lambda: HfApi().model_info(repo_id, revision=revision), repo_id, revision)
    except WeightError as failure:
        kept = _kept_folder(repo_id, revision)
        if kept is None:
            raise
        names = [str(path.relative_to(kept)) for path in kept.rglob("*.gguf")]
        if not names:
            raise failure from None
        return kept / choose_files(names, kind, where=where)[0]
    names = [item.rfilename for item in getattr(info, "siblings", None) or ()]
    text, needed = choose_files(names, kind, where=where)
    folder = ask(lambda: snapshot_download(repo_id, revision=revision, allow_patterns=needed), repo_id, revision)
    return Path(str(folder)) / text


def _kept_folder(repo_id: str, revision: str | None) -> Path | None:
    """Find what an earlier download left: the client's own look-up asks for all files of the repository."""
    from huggingface_hub.constants import HF_HUB_CACHE

    entry = Path(HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"
    name = entry / "refs" / (revision or "main")
    commit = name.read_text(errors="replace").strip() if name.is_file() else revision or ""
    folder = entry / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


def _number(name: str) -> int:
    part = _PART.search(name)
    return int(part[1]) if part else 1


def _is_of_kind(name: str, kind: str) -> bool:
    stem = re.sub(r"\.gguf$", "", _PART.sub("", Path(name).name), flags=re.IGNORECASE)
    return not kind or re.search(rf"(^|[-._]){re.escape(kind)}$", stem, re.IGNORECASE) is not None


def _projector_rank(name: str) -> tuple[int, str]:
    stem = Path(name).name.lower().removesuffix(".gguf")
    ranks = [rank for rank, kind in enumerate(_PROJECTOR_TYPES) if re.search(rf"(^|[-._]){kind}$", stem)]
    return min(ranks, default=len(_PROJECTOR_TYPES)), name
