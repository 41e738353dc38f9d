"""Load the model that the options name: found, announced where it must be downloaded, with a sign of life."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.asking.request import make_limits
from edge.chat.options import ChatOptions
from edge.chat.screen.screen import Screen
from edge.chat.sessions.folder import kept_folder, make_private, with_tilde

if TYPE_CHECKING:
    from edge.engine import Engine


def find_engine(options: ChatOptions, screen: Screen, *, keeps: bool) -> Callable[[], Engine]:
    """Find a model, and ask about its download where that is needed.

    Args:
        options: Name it, and the engine's bounds.
        screen: For questions and notes.
        keeps: Whether finished turns are kept on disk.

    Returns:
        What loads it; it raises EdgeError if the model is refused or does not fit.

    Raises:
        EdgeError: There is no such model, or the user does not want it.
    """
    choose = _chooser(options, screen)
    model = None if options.model is None or is_demo(options.model) else choose(options.model)
    draft = None if options.draft is None else choose(options.draft)

    def load_now() -> Engine:
        from edge.loading import load

        limits = make_limits(options, keeps=keeps and _can_keep(screen))
        with screen.waiting(f"loading {options.model if model is not None else 'the demo'}"):
            return load(model, projector=options.projector, adapter=options.adapter, draft=draft, limits=limits)

    return load_now


def _chooser(options: ChatOptions, screen: Screen) -> Callable[[str], str | Path]:
    """Return what turns a name into a model that is on this machine, downloading it where that is wanted."""

    def choose(name: str) -> str | Path:
        from edge.chat.models.choose import choose_model
        from edge.chat.models.found import find_in_cache
        from edge.checkpoint.files.hub import resolve_model

        asks = screen.err.is_terminal and sys.stdin is not None and sys.stdin.isatty() and not options.agrees
        if not screen.err.is_terminal:
            _silence_downloads()
        agree = (lambda text: _agrees(screen, text)) if asks else None
        model = choose_model(name, models_dir=options.models_dir, agree=agree, note=screen.note)
        if not Path(model).expanduser().exists() and find_in_cache(str(model)) is None:
            resolve_model(model)  # now, with its own progress: where it fails, an old model goes on
        return model

    return choose


def _can_keep(screen: Screen) -> bool:
    """Make the folder for keys and values; where that fails, say so: talks then go on by computing them again."""
    import tempfile  # for talks alone: a single question keeps nothing

    folder = kept_folder()
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        screen.note(f"Nothing is kept in {with_tilde(folder)} ({error.strerror}); the chat works all the same.")
        return False


def is_demo(name: str) -> bool:
    """Whether a name stands for the embedded demo checkpoint: the word itself, unless a file is called so."""
    return name == "demo" and not Path(name).exists()


def _agrees(screen: Screen, text: str) -> bool:
    screen.note(text)
    screen.err.write_raw("[Y/n] ")
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") and answer != ""


def _silence_downloads() -> None:
    """Keep the bars of a download out of a file or pipe."""
    import os

    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
