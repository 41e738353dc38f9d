"""Every sample in the package gets the right answer to the question that its card names, at full size and at 4 bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edge
from edge import packed_products
from edge.loading import DEMO_FOLDER

SAMPLES = DEMO_FOLDER / "samples"
ASKED = [
    (
        ("scene.png",),
        "What is in this picture?",
        "I see a red circle at the top left, a yellow star at the top right, a blue square in the center and a green "
        "triangle at the bottom left.",
    ),
    (("sign.png",), "What does the sign say?", 'It says "APPLE".'),
    (
        ("before.png", "after.png"),
        "What changed between the two pictures?",
        "The square at the bottom right changed from black to green.",
    ),
    (("appear.mp4",), "When does the red star appear?", "The red star appears at second 3."),
    (("appear.gif",), "When does the red star appear?", "The red star appears at second 3."),
]


@pytest.fixture(scope="module", params=["bf16", "4bit"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> edge.Engine:
    if request.param == "bf16":
        return edge.load()
    folder = tmp_path_factory.mktemp("demo") / "4bit"
    command = [sys.executable, "-m", "convert", "mlx", str(DEMO_FOLDER), str(folder), "--recipe", "4bit"]
    subprocess.run(command, check=True, capture_output=True)
    return edge.load(folder)


@pytest.mark.parametrize(("files", "question", "answer"), ASKED, ids=["scene", "sign", "pair", "mp4", "gif"])
def test_a_sample_gets_the_right_answer(
    engine: edge.Engine, files: tuple[str, ...], question: str, answer: str
) -> None:
    kinds = ["video" if Path(file).suffix in (".mp4", ".gif") else "image" for file in files]
    shown = [{"type": kind, kind: str(SAMPLES / file)} for kind, file in zip(kinds, files, strict=True)]
    messages = [{"role": "user", "content": [*shown, {"type": "text", "text": question}]}]
    request = edge.Request(messages=messages, sampling=edge.SamplingParams(temperature=0.0), max_tokens=300)
    assert engine.answer(request).text.strip() == answer


@pytest.mark.parametrize("engine", ["4bit"], indirect=True)
def test_a_prompt_by_unpacked_matrices_changes_no_token(engine: edge.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = {"type": "image", "image": str(SAMPLES / "scene.png")}
    texts = [{"type": "text", "text": "The quick brown fox " * 40}, {"type": "text", "text": "Describe the picture."}]
    request = edge.Request(
        messages=[{"role": "user", "content": [texts[0], picture, texts[1]]}],
        sampling=edge.SamplingParams(temperature=0.0),
        max_tokens=60,
    )
    ours = engine.answer(request)
    engine.forget_kept()
    monkeypatch.setattr(packed_products, "LEAST_ROWS", sys.maxsize)  # all of them by MLX
    assert engine.answer(request).text == ours.text
    assert ours.usage.prompt_tokens > 500
    assert ours.usage.completion_tokens > 5


def test_the_card_names_every_sample() -> None:
    card = (DEMO_FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(file.name in card for file in SAMPLES.iterdir())
