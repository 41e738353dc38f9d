"""What the command line of the chat asks for, and what `/set` may change during a talk."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from edge.records import dataclass

ThoughtView = Literal["show", "fold", "hide"]
Think = int | Literal["auto", "on"]
"""Most tokens of thought; "on" sets no limit, "auto" leaves room for an answer."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the command line asks for; None leaves a value to the checkpoint.

    Attributes:
        model: Folder, file, hub id or short name.
        projector: Vision file of a GGUF model.
        adapter: LoRA adapter of the model.
        models_dir: A folder whose models may be named by their folder's name.
        prompt: The question of one answer; None talks.
        images: Pictures as typed: paths, file or data URLs, "-" for the pipe.
        videos: Videos as typed.
        pdfs: Documents as typed, each perhaps with pages: `report.pdf:2-4`.
        system: The system message.
        max_tokens: Most tokens of an answer, thought included.
        think: Most tokens of thought.
        stop: Strings that end an answer.
        sampling: Fields of `SamplingParams` that were given.
        min_pixels: Smaller pictures are enlarged to this.
        max_pixels: Larger pictures are shrunk to this.
        fps: Frames taken from a video per second.
        schema: JSON Schema that answers obey, or "json".
        guards_loops: Whether an answer that repeats itself without end is ended.
        context: Most tokens of prompt and answer together.
        kv_bits: Bits of keys and values.
        draft: A small model that guesses tokens ahead.
        speculates: Whether tokens are guessed and checked several in one step, where that is faster.
        wires: Whether macOS may not page the model out.
        save: A new file that gets the messages too, as JSON lines.
        session: Name of the saved talk to go on with, or of a new one.
        goes_on: Go on with the last saved talk.
        is_saved: Whether talks are saved.
        output: Form of one answer on stdout.
        thoughts: How the thought is shown; None shows it for one answer and folds it in a talk.
        renders_markdown: Whether Markdown is laid out on a terminal.
        shows_stats: Whether costs are told.
        shows_previews: Whether pictures of a question are shown in terminals that can.
        agrees: Whether questions about downloads and tool calls are answered with yes.
        tools: Python files whose functions the model may call, or "builtin".
        servers: Commands or addresses of MCP servers whose tools it may call.
    """

    model: str | None = None
    projector: Path | None = None
    adapter: str | None = None
    models_dir: Path | None = None
    prompt: str | None = None
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    pdfs: tuple[str, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    think: Think = "auto"
    stop: tuple[str, ...] = ()
    sampling: dict[str, float | int] = field(default_factory=dict)
    min_pixels: int | None = None
    max_pixels: int | None = None
    fps: float | None = None
    schema: dict[str, Any] | str | None = None  # Any: JSON
    guards_loops: bool = True
    context: int | None = None
    kv_bits: Literal[8, 4] | None = None
    draft: str | None = None
    speculates: bool = True
    wires: bool = False
    save: Path | None = None
    session: str | None = None
    goes_on: bool = False
    is_saved: bool = True
    output: Literal["text", "json", "events"] = "text"
    thoughts: ThoughtView | None = None
    renders_markdown: bool = True
    shows_stats: bool = False
    shows_previews: bool = True
    agrees: bool = False
    tools: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    @property
    def is_json(self) -> bool:
        """Whether stdout gets JSON."""
        return self.output != "text"
