"""Whole conversations through files, template, tokenizer and engine: kept caches change the work, never the answer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import edge
from edge.run.sample import SamplingParams

GREEDY = SamplingParams(temperature=0.0)
Message = dict[str, Any]  # Any: JSON


def question(text: str, *pictures: Path) -> Message:
    return {
        "role": "user",
        "content": [*({"type": "image", "image": str(p)} for p in pictures), {"type": "text", "text": text}],
    }


def ask(engine: edge.Engine, messages: list[Message], *, max_tokens: int = 24) -> edge.Answer:
    return engine.answer(edge.Request(messages=messages, sampling=GREEDY, max_tokens=max_tokens))


def gradient(path: Path, *, size: tuple[int, int] = (64, 48), turn: int = 0) -> Path:
    Image.linear_gradient("L").resize(size).rotate(turn).convert("RGB").save(path)
    return path


def talk(engine: edge.Engine, questions: list[Message], *, fresh: Path | None = None) -> list[edge.Answer]:
    """Ask one after the other; with `fresh`, every turn on a newly loaded engine."""
    messages: list[Message] = []
    answers = []
    for asked in questions:
        messages.append(asked)
        answers.append(ask(edge.load(fresh) if fresh else engine, messages))
        messages.append({"role": "assistant", "content": answers[-1].text, "reasoning_content": answers[-1].reasoning})
    return answers


@pytest.mark.parametrize("folder_name", ["tiny_folder", "thinking_folder"])
def test_a_talk_on_kept_caches_gives_the_answers_of_fresh_engines(
    folder_name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(folder_name)
    cat, dog = gradient(tmp_path / "cat.png"), gradient(tmp_path / "dog.png", turn=90)
    questions = [question("What?", cat), question("And what else?"), question("And here?", dog), question("Sure?")]
    engine = edge.load(folder)
    kept = talk(engine, questions)
    assert [a.text + a.reasoning for a in kept] == [a.text + a.reasoning for a in talk(engine, questions, fresh=folder)]
    # One picture, one run of the tower, however many turns.
    assert engine.vision_runs == 2
    used = [answer.usage for answer in kept]
    assert [usage.vision_runs for usage in used] == [1, 0, 1, 0]
    assert all(later.cached_tokens >= earlier.prompt_tokens - len("<think>\n") for earlier, later in pairwise(used))


def test_a_changed_picture_under_the_same_name_is_seen_anew(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    engine, asked = edge.load(tiny_folder), [question("What?", path)]
    gradient(path)
    first = ask(engine, asked)
    gradient(path, turn=90)
    second = ask(engine, asked)
    assert second.usage.vision_runs == 1
    assert second.text == ask(edge.load(tiny_folder), asked).text
    assert second.text != first.text


def test_the_same_picture_in_another_size_is_another_picture(tiny_folder: Path, tmp_path: Path) -> None:
    engine, path = edge.load(tiny_folder), gradient(tmp_path / "picture.png")
    asked = [question("What?", path)]
    ask(engine, asked)
    smaller = engine.answer(
        edge.Request(messages=asked, sampling=GREEDY, max_tokens=4, image=edge.ImageOptions(max_pixels=1024))
    )
    assert smaller.usage.vision_runs == 1


def test_interleaved_streams_about_two_pictures_do_not_mix(tiny_folder: Path, tmp_path: Path) -> None:
    cat, dog = gradient(tmp_path / "cat.png"), gradient(tmp_path / "dog.png", turn=90)
    asked = [[question("What?", cat)], [question("What?", dog)]]
    alone = [ask(edge.load(tiny_folder), messages).text for messages in asked]
    engine = edge.load(tiny_folder)
    streams = [engine.stream(edge.Request(messages=messages, sampling=GREEDY, max_tokens=24)) for messages in asked]
    texts = ["", ""]
    for _ in range(40):
        for index, stream in enumerate(streams):
            event = next(stream, None)
            texts[index] += event.text if isinstance(event, edge.TextEvent) else ""
    assert texts == alone


def test_importing_edge_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, edge; print([m for m in ('mlx', 'numpy', 'PIL', 'torch', 'mlx_lm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_start_imports_neither_torch_nor_transformers_nor_mlx_lm(tiny_folder: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from edge.chat.__main__ import main; "
        f"main(['--model', {str(tiny_folder)!r}, '--max-tokens', '2', 'hi']); "
        "print([m for m in ('torch', 'transformers', 'mlx_lm', 'rich', 'prompt_toolkit', 'gguf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
