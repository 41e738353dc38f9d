from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from edge.answer import Answer
from edge.chat.sessions.session import Session
from edge.events import MediaUse
from edge.options import ImageOptions
from tests.unit.chat.parrot import Talking, answer, question


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "with space.png"
    Image.new("RGB", (40, 30)).save(path)
    return path


def media_of(request: object) -> list[str]:
    messages = request.messages  # type: ignore[attr-defined]  # a Request
    content = messages[-1]["content"]
    return [part["image"] for part in content if part["type"] == "image"]


def test_each_turn_carries_the_whole_conversation(talking: Talking) -> None:
    talking.say("one", "two")
    assert talking.last().messages == [question("one"), answer(1), question("two")]
    assert talking.out.getvalue() == "answer 1\nanswer 2\n"


def test_a_picture_goes_with_one_question_as_a_copy(talking: Talking, picture: Path) -> None:
    for typed in (f"/image {picture}", f"/image '{picture}'", f"{picture}"):
        assert "40x30, goes with the next question" in talking.say(typed)
        talking.say("what?")
        (path,) = media_of(talking.last())
        assert Path(path).parent == talking.folder / "media"
        assert Path(path).read_bytes() == picture.read_bytes()
        talking.say("and?")
        assert media_of(talking.last()) == []


def test_a_path_in_the_question_shows_the_picture(talking: Talking, picture: Path) -> None:
    talking.say(f"'{picture}' what is it?")
    assert len(media_of(talking.last())) == 1
    assert talking.last().messages[-1]["content"][-1]["text"] == "what is it?"


def test_changing_the_original_changes_nothing(talking: Talking, picture: Path) -> None:
    talking.say(f"'{picture}' what is it?")
    before = Path(media_of(talking.last())[0]).read_bytes()
    picture.unlink()
    talking.say("and now?")
    path = talking.last().messages[0]["content"][0]["image"]
    assert Path(path).read_bytes() == before


def test_a_text_file_alone_is_refused_and_within_a_question_it_is_asked(talking: Talking, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "pipe it in" in talking.say(f"{tmp_path}/notes.txt")
    assert talking.engine.requests == []
    assert "pipe it in" in talking.say(f"who reads {tmp_path}/notes.txt today?")
    assert talking.last().messages[-1] == question(f"who reads {tmp_path}/notes.txt today?")


def test_a_broken_picture_is_said_at_once_and_the_line_comes_back(talking: Talking, picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:50])
    line = f"'{picture}' what is it?"
    assert "with space.png" in talking.say(line)
    assert (talking.engine.requests, talking.talk.prefill) == ([], line)


def test_a_picture_that_is_not_there_is_told_before_the_answer(talking: Talking, picture: Path) -> None:
    note = talking.say(f"compare {picture} with {picture.parent}/gone.png please")
    assert "gone.png: there is no such file; the model gets these words and no picture." in note
    assert note.count("no such file") == 1
    note = talking.say(f"'{picture.parent}/gone.png'")
    assert "gone.png: file not found. Check the path." in note
    assert talking.talk.prefill == f"'{picture.parent}/gone.png'"
    assert len(talking.engine.requests) == 1


def test_pasted_text_attaches_nothing(talking: Talking, picture: Path) -> None:
    talking.say(f'"""see\n\'{picture}\'"""')
    assert talking.last().messages[-1] == question(f"see\n'{picture}'")
    talking.say(f"'{picture}' " + "x" * 3000)
    assert media_of(talking.last()) == []


def test_a_refused_question_is_forgotten_comes_back_and_keeps_its_pictures(talking: Talking, picture: Path) -> None:
    note = talking.say(f"/image {picture}", "refuse me")
    assert "edge.chat: too long, lower max-tokens. (/set NAME VALUE)" in note
    assert talking.talk.prefill == "refuse me"
    assert talking.talk.waiting.names == ["with space.png"]
    talking.say("one")
    assert len(talking.last().messages) == 1
    assert len(media_of(talking.last())) == 1


def test_a_picture_that_fails_later_does_not_spoil_the_next_question(talking: Talking, picture: Path) -> None:
    assert "no longer waiting" in talking.say(f"/image {picture}", "broken one")
    talking.say("two")
    assert media_of(talking.last()) == []


def test_an_error_before_the_answer_leaves_the_talk_as_it_was(talking: Talking) -> None:
    talking.say("one")
    assert "failed early" in talking.say("fail early")
    assert talking.talk.messages == [question("one"), answer(1)]
    assert Session(talking.folder).read().messages == talking.talk.messages


def test_an_error_within_the_answer_keeps_what_came(talking: Talking) -> None:
    note = talking.say("fail late")
    assert "internal error" in note
    assert "failed late" in note
    assert talking.talk.messages == [question("fail late"), answer(1)]
    assert Session(talking.folder).read().messages == talking.talk.messages


def test_a_stopped_answer_is_kept(talking: Talking) -> None:
    talking.engine.reason = "cancelled"
    assert "stopped; the answer so far is kept" in talking.say("one")
    assert talking.talk.messages[-1] == answer(1)


def test_a_question_stopped_before_its_answer_comes_back(talking: Talking) -> None:
    talking.say("one")
    assert "stopped before" in talking.say("stop early")
    assert talking.talk.prefill == "stop early"
    assert talking.talk.messages == [question("one"), answer(1)]


def test_what_the_model_sees_of_a_new_picture_is_said_with_its_tokens(talking: Talking, picture: Path) -> None:
    use = MediaUse("image", 99, (720, 1280), (352, 640), "/x.png: 1280x720 -> 640x352 pixels, 99 tokens", True, False)
    talking.engine.media = (use,)
    talking.engine.hints = ("Give min_pixels 9 for better ones.",)
    note = talking.say(f"/image {picture}", "what?")
    assert "with space.png: 1280x720 -> 640x352 pixels, 99 tokens" in note
    assert "Give min-pixels 9 for better ones. (/set NAME VALUE)" in note
    talking.engine.media = (replace(use, is_cached=True),)
    assert "1280x720" not in talking.say("again?")


def test_a_system_message_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    talking = Talking(system="Be brief.")
    talking.say("/new", "one")
    assert talking.last().messages == [{"role": "system", "content": "Be brief."}, question("one")]


def test_tool_results_go_on_until_an_answer_comes(talking: Talking) -> None:
    given: list[Answer] = []

    def follow(one: Answer) -> list[dict[str, object]] | None:
        given.append(one)
        return None

    talking.talk.follow_up = follow
    talking.say("one")
    assert given == []  # without calls nobody is asked


@pytest.mark.parametrize(
    "line",
    [
        "x" * 300,
        "/" + "x" * 300,
        "~nobody-here/a.png",
        "\udcff",
        "\0",
        "/image " + "y" * 300 + ".png",
        "@",
        "'",
        '"',
        "\\",
    ],
)
def test_no_line_ends_the_talk(talking: Talking, line: str) -> None:
    talking.say(line, "and now?")
    assert talking.last().messages[-1] == question("and now?")


def test_a_window_that_takes_no_more_text_does_not_cost_the_answer(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed() -> None:
        raise OSError("Input/output error")

    monkeypatch.setattr(talking.talk.screen, "end_line", closed)
    with pytest.raises((OSError, ValueError)):
        talking.talk.ask("fail late")
    assert [message["role"] for message in talking.talk.messages] == ["user", "assistant"]


def test_a_hint_about_small_pictures_names_what_can_be_set(talking: Talking) -> None:
    talking.engine.hints = ("Boxes are exact from 1024 visual tokens on. Give min_pixels 1048576 for better ones.",)
    assert "Give min-pixels 1048576 for better ones. (/set NAME VALUE)" in talking.say("where is the cat?")
    talking.say("/set min-pixels 1048576")
    talking.say("where is the cat?")
    assert talking.last().image == ImageOptions(min_pixels=1048576)
    talking.talk.is_talk = False
    assert "Give --min-pixels 1048576" in talking.say("where?")


def test_an_unsaved_talk_holds_its_pictures_under_their_names(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    talking = Talking(is_saved=False)
    data = picture.read_bytes()
    talking.say(f"'{picture}' what is it?")
    picture.unlink()
    talking.say("and now?")
    held, _ = talking.last().messages[0]["content"]
    assert held == {"type": "image", "image": data}
    assert "with space.png waits again" in talking.say("/undo", "/undo")
