"""The first screen: what answers, what to try, which models are at hand, where talks are saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.models.found import FoundModel, find_models
from edge.chat.sessions.folder import sessions_folder, with_tilde
from edge.chat.switching import describe_thinking
from edge.records import dataclass
from edge.short_names import GB, SIZES

if TYPE_CHECKING:
    from edge.chat.talk import Talk

QUESTIONS = (
    ("What is in this picture?", ("scene.png",)),
    ("What does the sign say?", ("sign.png",)),
    ("What changed between the two pictures?", ("before.png", "after.png")),
)
MAX_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Samples:
    """Questions with pictures that are there."""

    folder: Path
    questions: tuple[tuple[str, tuple[Path, ...]], ...]


def find_samples() -> Samples | None:
    """Find the sample pictures: in the package, or in a checkout beside it."""
    import edge

    package = Path(edge.__file__).parent
    for folder in (package / "demo" / "samples", package.parent / "examples" / "images"):
        questions = tuple((text, tuple(folder / name for name in names)) for text, names in QUESTIONS)
        if all(path.is_file() for _, paths in questions for path in paths):
            return Samples(folder, questions)
    return None


def greet(talk: Talk) -> None:
    """Write the first screen."""
    screen, options = talk.screen, talk.options
    if options.model is None:
        screen.plain("This is the small embedded demo checkpoint: shapes, short words and counts, in seconds.")
        _show_samples(talk)
        _show_models(talk)
    else:
        screen.plain(f"Model: {talk.engine.name}.")
    if talk.thinks:
        screen.note(f"{describe_thinking(talk)} (--think)")
    if talk.tools is not None and talk.tools.tools:
        names = ", ".join(tool.name for tool in talk.tools.tools)
        asks = "they run without a question" if options.agrees else "each call is asked about"
        screen.note(f"Tools: {names} ({asks}; /tools).")
    session = talk.keeper.session
    if session is None:
        screen.note("This talk is not saved.")
    else:
        screen.note(f"Talks are saved in {with_tilde(sessions_folder())} (--no-save keeps none).")
    screen.note("/help lists commands, Ctrl-D leaves. Drop pictures anywhere in a question.")


def _show_samples(talk: Talk) -> None:
    samples = find_samples()
    if samples is None:
        return
    talk.screen.plain("Try:")
    for text, paths in samples.questions:
        talk.screen.plain(f"  {' '.join(shown_path(path) for path in paths)} {text}")


def shown_path(path: Path) -> str:
    """Write a path so that it can be copied into a question: short, its blanks escaped."""
    try:
        short = str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        short = with_tilde(path)
    if "/" not in short:
        short = f"./{short}"
    return short.replace(" ", "\\ ")


def _show_models(talk: Talk) -> None:
    from edge.memory import available_bytes

    free = available_bytes()
    found = find_models(talk.options.models_dir)
    for line in model_lines(found, free=free):
        talk.screen.plain(line)


def model_lines(found: Sequence[FoundModel], *, free: int) -> list[str]:
    """Say which models are here and fit, what the others need, and which short name would fit.

    Args:
        found: Models on this machine.
        free: Bytes that are free for one.
    """
    fitting = [model for model in found if model.weight_bytes <= free]
    others = [model for model in found if model.weight_bytes > free]
    lines = []
    if fitting:
        lines.append("Models here (/model NAME or --model NAME):")
        lines += [f"  {model.name}  {model.weight_bytes / GB:.1f} GB" for model in fitting[-MAX_SHOWN:]]
    if others:
        needs = ", ".join(f"{model.name} {model.weight_bytes / GB:.1f} GB" for model in others[:MAX_SHOWN])
        lines.append(f"Here, but over the {free / GB:.1f} GB that are free now: {needs}.")
    names = [name for name, size in SIZES.items() if size.weight_bytes(4) <= free]
    if names:
        sizes = ", ".join(f"{name} {SIZES[name].weight_bytes(4) / GB:.1f} GB" for name in names)
        lines.append(f"For real pictures: --model NAME. In 4 bits would fit now: {sizes}.")
    else:
        smallest = SIZES["2b"].weight_bytes(4) / GB
        lines.append(f"For real pictures: --model 2b needs {smallest:.1f} GB, {free / GB:.1f} GB are free now.")
    return lines
