from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.arguments import ChatOptions
from edge.chat.screen import Screen
from edge.chat.talk import Talk
from edge.errors import MediaError, PromptError
from edge.events import Event, FinishEvent, FinishReason, MediaUse, PromptEvent, ReasoningEvent, TextEvent, Usage
from edge.request import Request
from edge.run.sample import SamplingParams

USAGE = Usage(
    prompt_tokens=9,
    cached_tokens=0,
    completion_tokens=4,
    reasoning_tokens=1,
    vision_runs=0,
    prompt_s=0.1,
    queue_s=0.0,
    vision_s=0.0,
    prefill_s=0.1,
    first_token_s=0.2,
    decode_s=0.1,
    peak_bytes=0,
)


class Parrot:
    """An engine that counts its turns, and refuses what it is told to."""

    default_sampling = SamplingParams()
    reason: FinishReason = "stop"
    media: tuple[MediaUse, ...] = ()

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def stream(self, request: Request) -> Iterator[Event]:
        if "broken" in str(request.messages[-1]):
            raise MediaError("broken.mp4: cannot be read.")
        if "refuse" in str(request.messages[-1]):
            raise PromptError("refused")
        self.requests.append(request)
        return iter(
            [
                PromptEvent(9, 0, self.media, ("hint",)),
                ReasoningEvent("hm"),
                TextEvent(f"answer {len(self.requests)}"),
                FinishEvent(self.reason, None, USAGE),
            ]
        )


class Fixture:
    """A talk with its streams."""

    def __init__(self, tmp_path: Path, **options: object) -> None:
        self.engine = Parrot()
        self.out, self.err = io.StringIO(), io.StringIO()
        given = ChatOptions(save=tmp_path / "talk.jsonl", **options)  # type: ignore[arg-type]  # fields of ChatOptions
        self.talk = Talk(self.engine, given, Screen(self.out, self.err))  # type: ignore[arg-type]  # a stand-in

    def saved(self) -> list[tuple[str, object]]:
        lines = self.talk.transcript_path.read_text().splitlines()
        return [(message["role"], message["content"]) for message in map(json.loads, lines)]


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fixture:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    return Fixture(tmp_path)


def question(text: str, *images: Path) -> dict[str, object]:
    shown = [{"type": "image", "image": str(path)} for path in images]
    return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}


def test_each_turn_carries_the_whole_conversation(talking: Fixture) -> None:
    assert talking.talk.handle("one")
    assert talking.talk.handle("two")
    assert talking.engine.requests[1].messages == [
        question("one"),
        {"role": "assistant", "content": "answer 1", "reasoning_content": "hm"},
        question("two"),
    ]
    assert talking.out.getvalue() == "answer 1\nanswer 2\n"


def test_the_talk_is_saved_as_it_goes(talking: Fixture) -> None:
    talking.talk.handle("one")
    assert talking.saved() == [("user", [{"type": "text", "text": "one"}]), ("assistant", "answer 1")]


def test_a_picture_goes_with_the_next_question_only(talking: Fixture, tmp_path: Path) -> None:
    path = tmp_path / "with space.png"
    Image.new("RGB", (40, 30)).save(path)
    for typed in (f"/image {path}", f"/image '{path}'"):
        talking.talk.handle(typed)
        talking.talk.handle("what?")
        assert talking.engine.requests[-1].messages[-1] == question("what?", path)
        talking.talk.handle("and?")
        assert talking.engine.requests[-1].messages[-1] == question("and?")
    assert "40x30" in talking.err.getvalue()


def test_a_picture_that_cannot_be_read_is_said_at_once(talking: Fixture) -> None:
    assert talking.talk.handle("/image gone.png")
    assert "gone.png" in talking.err.getvalue()


def test_a_refused_question_is_forgotten_and_the_talk_goes_on(talking: Fixture) -> None:
    assert talking.talk.handle("refuse me")
    assert talking.err.getvalue() == "edge.chat: refused\n"
    talking.talk.handle("one")
    assert talking.engine.requests[0].messages == [question("one")]


def test_a_video_that_cannot_be_read_does_not_spoil_the_next_question(talking: Fixture, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"")
    talking.talk.handle(f"/video {path}")
    assert talking.talk.waiting_names == ["broken.mp4"]
    talking.talk.handle("one")
    assert "let go" in talking.err.getvalue()
    talking.talk.handle("two")
    assert talking.engine.requests[0].messages == [question("two")]


def test_a_stopped_answer_is_kept(talking: Fixture) -> None:
    talking.engine.reason = "cancelled"
    talking.talk.handle("one")
    assert talking.saved()[-1] == ("assistant", "answer 1")
    assert "stopped" in talking.err.getvalue()


def test_new_forgets_the_conversation_but_not_its_file(talking: Fixture) -> None:
    talking.talk.handle("one")
    old = talking.talk.transcript_path
    talking.talk.handle("/new")
    talking.talk.handle("two")
    assert talking.engine.requests[-1].messages == [question("two")]
    assert talking.talk.transcript_path != old
    assert old.exists()


def test_save_copies_the_talk(talking: Fixture, tmp_path: Path) -> None:
    talking.talk.handle("/save")
    assert "/save FILE" in talking.err.getvalue()
    talking.talk.handle("one")
    talking.talk.handle(f"/save {tmp_path / 'copy.jsonl'}")
    assert (tmp_path / "copy.jsonl").read_text() == talking.talk.transcript_path.read_text()


def test_what_the_model_sees_of_a_new_picture_is_said_with_its_tokens_peers_13(talking: Fixture) -> None:
    new = MediaUse("image", 99, (720, 1280), (352, 640), "a.png: 1280x720 -> 640x352 pixels, 99 tokens", True, False)
    talking.engine.media = (new, replace(new, summary="old.png", is_cached=True))
    talking.talk.handle("what?")
    assert "1280x720 -> 640x352 pixels, 99 tokens\nhint\n" in talking.err.getvalue()
    assert "old.png" not in talking.err.getvalue()


def test_quit_ends_and_an_unknown_command_does_not(talking: Fixture) -> None:
    assert talking.talk.handle("/nonsense")
    assert "/help" in talking.err.getvalue()
    assert not talking.talk.handle("/quit")


def test_help_lists_the_commands(talking: Fixture) -> None:
    talking.talk.handle("/help")
    assert all(name in talking.err.getvalue() for name in ("/image", "/video", "/new", "/save", "/quit"))


def test_a_system_message_comes_first_and_survives_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    talking = Fixture(tmp_path, system="Be brief.")
    talking.talk.handle("/new")
    talking.talk.handle("one")
    assert talking.engine.requests[0].messages[0] == {"role": "system", "content": "Be brief."}
