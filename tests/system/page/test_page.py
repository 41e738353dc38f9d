"""The server's page in Chromium, on the embedded demo: ask about pictures, see boxes, keep conversations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.system.server_process import ServerProcess

pytest.importorskip("playwright", reason="the page is tested with playwright (extra `test`)")

from playwright.sync_api import expect

from tests.system.page.browser import ANSWER_MS, CHROMIUM, LAST_ANSWER, PageDriver
from tests.system.questions import DESCRIBE, DESCRIBED, FIND, SCENE, WEATHER

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (apt-get install chromium)")
FIRST_COLOR = (0xE6, 0x00, 0x4C)
LONG = json.dumps({"type": "array", "items": {"type": "integer"}, "minItems": 3000})
WATCH = """() => {
  window.lengths = [];
  new MutationObserver(() => {
    const answer = [...document.querySelectorAll(".answer")].pop();
    if (answer?.classList.contains("running")) window.lengths.push(answer.querySelector(".text").textContent.length);
  }).observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
}"""


def test_a_dropped_picture_is_answered(window: PageDriver) -> None:
    window.drop(SCENE)
    assert window.ask(DESCRIBE) == DESCRIBED
    assert "tokens/s" in window.page.inner_text(f"{LAST_ANSWER} .stats")


def test_an_answer_is_drawn_while_it_comes(window: PageDriver) -> None:
    window.page.evaluate(WATCH)
    window.set(schema=LONG)  # seconds of answer: on a busy machine a short one is there with the first drawing
    window.send("Count.")
    window.page.wait_for_function("() => new Set(window.lengths).size > 5", timeout=ANSWER_MS)
    window.page.click("#stop")
    window.wait_for_answer()


def test_the_thought_is_folded_and_tells_its_time(window: PageDriver) -> None:
    window.drop(SCENE)
    window.ask(DESCRIBE)
    thought = window.page.locator(f"{LAST_ANSWER} details.thought")
    assert thought.get_attribute("open") is None
    assert not thought.locator(".thought-text").is_visible()
    assert thought.locator("summary").inner_text().startswith("Thought for ")
    thought.locator("summary").click()
    expect(thought.locator(".thought-text")).to_be_visible()


def test_a_box_is_drawn_around_the_thing(window: PageDriver) -> None:
    window.drop(SCENE)
    answer = window.ask(FIND)
    drawn = _bounds(window.canvas(), FIRST_COLOR)
    told = json.loads(answer[answer.index("[") : answer.rindex("]") + 1])[0]["bbox_2d"]
    line_px = 3
    assert drawn == pytest.approx([value * 512 / 1000 for value in told], abs=line_px)
    thing = _bounds(Image.open(SCENE).convert("RGB"), (0xD9, 0x26, 0x26), tolerance=12)
    assert _overlap(drawn, thing) >= 0.5


def test_words_and_boxes_point_at_each_other(window: PageDriver) -> None:
    window.drop(SCENE)
    window.ask(FIND)
    page, before = window.page, window.canvas()
    page.hover(f"{LAST_ANSWER} .word")
    expect(page.locator(".mark-name")).to_have_class("mark-name picked")
    assert ImageChops.difference(before, window.canvas()).getbbox() is not None
    page.hover("header h1")
    expect(page.locator(".mark-name")).to_have_class("mark-name")
    assert ImageChops.difference(before, window.canvas()).getbbox() is None
    page.hover(".marked canvas", position={"x": 60, "y": 60})
    expect(page.locator(f"{LAST_ANSWER} .word")).to_have_class("word picked")


def test_boxes_and_points_of_a_wide_picture_are_drawn_where_they_are_told(window: PageDriver) -> None:
    text = 'A [{"bbox_2d": [100, 300, 250, 900]}, {"point_2d": [700, 400], "label": "tip"}, {"bbox_2d": [1, "x"]}]'
    data = window.page.evaluate(
        """async (text) => {
          const { MarkedPicture, findMarks } = await import("/page/boxes.js");
          const blank = new OffscreenCanvas(800, 200);
          blank.getContext("2d").fillRect(0, 0, 800, 200);
          const picture = new MarkedPicture([await blank.convertToBlob()], () => {});
          picture.update(findMarks(text));
          await picture.ready;
          const pen = picture.canvas.getContext("2d");
          const at = (x, y) => [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
          return [at(80, 120), at(200, 120), at(140, 180), at(560, 80), at(240, 20), at(140, 120)];
        }""",
        text,
    )
    red, blue, black = list(FIRST_COLOR), [0x00, 0x66, 0xFF], [0, 0, 0]
    assert data == [red, red, red, blue, black, black]  # the fifth is where the box would lie with its sides swapped


def test_stop_ends_an_answer_and_keeps_what_has_come(window: PageDriver, server: ServerProcess) -> None:
    window.set(schema=LONG)
    window.send("Count.")
    window.page.wait_for_function(
        "() => document.querySelector('.answer > .text')?.textContent.length > 20", timeout=ANSWER_MS
    )
    window.page.click("#stop")
    text = window.wait_for_answer()
    assert window.page.inner_text(f"{LAST_ANSWER} .note") == "Stopped."
    assert window.page.is_visible("#send")
    window.open()
    assert window.page.inner_text(f"{LAST_ANSWER} > .text") == text


def test_an_edited_question_and_a_second_try_are_versions(window: PageDriver) -> None:
    window.drop(SCENE)
    window.ask("How many circles are there?")
    page = window.page
    page.click(".message.user button:has-text('Edit')")
    page.fill(".message.user textarea", DESCRIBE)
    page.click(".message.user button:has-text('Send')")
    assert window.wait_for_answer() == DESCRIBED  # the picture stayed with the question
    assert page.inner_text(".message.user .versions span:has-text('/')") == "2 / 2"
    page.click(".message.user button[aria-label='Earlier version']")
    assert "1 circle" in window.wait_for_answer()
    page.click(f"{LAST_ANSWER} button:has-text('Retry')")
    assert "1 circle" in window.wait_for_answer()
    assert page.inner_text(f"{LAST_ANSWER} .versions span:has-text('/')") == "2 / 2"


def test_a_conversation_is_found_again_with_its_picture(window: PageDriver) -> None:
    window.drop(SCENE)
    window.ask(DESCRIBE)
    window.open()
    page = window.page
    assert window.wait_for_answer() == DESCRIBED
    page.wait_for_function("() => document.querySelector('.message.user img')?.naturalWidth === 512")
    page.click("#new")
    expect(page.locator(".message")).to_have_count(0)
    page.click("#conversations .title")
    assert window.wait_for_answer() == DESCRIBED
    assert "1 circle" in window.ask("How many circles are there?")  # the picture goes along with the next question


def test_a_branch_goes_on_in_a_conversation_of_its_own(window: PageDriver) -> None:
    window.drop(SCENE)
    window.ask(DESCRIBE)
    window.page.click(f"{LAST_ANSWER} button:has-text('Branch')")
    expect(window.page.locator("#conversations li")).to_have_count(2)
    window.ask("How many circles are there?")
    window.page.click("#conversations li:last-child .title")
    expect(window.page.locator(".message")).to_have_count(2)


def test_a_tool_call_is_shown_and_its_result_answered(window: PageDriver) -> None:
    window.set(tools=json.dumps([WEATHER]))
    window.ask("What is the weather in Paris?")
    page = window.page
    assert page.inner_text(f"{LAST_ANSWER} .call-name") == "Calls get_weather"
    assert json.loads(page.inner_text(f"{LAST_ANSWER} .call pre")) == {"city": "Paris"}
    page.fill(f"{LAST_ANSWER} textarea", '{"temperature": 21, "sky": "sunny"}')
    page.click("button:has-text('Send the result')")
    page.wait_for_selector(".message.tool")
    assert window.wait_for_answer() == "It is sunny in Paris, 21 degrees."


def test_exported_conversations_can_be_imported(window: PageDriver, tmp_path: Path) -> None:
    window.drop(SCENE)
    window.ask(DESCRIBE)
    page = window.page
    with page.expect_download() as waiting:
        page.click("#export")
    file = tmp_path / "conversations.json"
    waiting.value.save_as(file)
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#conversations .icon")
    expect(page.locator("#conversations li")).to_have_count(0)
    page.set_input_files("#import-file", file)
    page.click("#conversations .title")
    assert window.wait_for_answer() == DESCRIBED
    page.wait_for_function("() => document.querySelector('.message.user img')?.naturalWidth === 512")


def _bounds(picture: Image.Image, color: tuple[int, int, int], tolerance: int = 0) -> list[float]:
    """Return left, top, right and bottom of what has a colour."""
    off = ImageChops.difference(picture, Image.new("RGB", picture.size, color))
    near = off.point(lambda value: 255 if value <= tolerance else 0)
    channels = near.split()
    bounds = ImageChops.darker(ImageChops.darker(channels[0], channels[1]), channels[2]).getbbox()
    assert bounds is not None, f"nothing has the colour {color}"
    return list(bounds)


def _overlap(one: list[float], other: list[float]) -> float:
    """Return intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)
