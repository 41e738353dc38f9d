"""The server's page while somebody reads and writes: nothing jumps, folds or goes away under their hands."""

from __future__ import annotations

import pytest

from tests.system.server_process import ServerProcess

pytest.importorskip("playwright", reason="the page is tested with playwright (extra `test`)")

from playwright.sync_api import Browser, expect

from tests.system.page.answering import windows
from tests.system.page.browser import CHROMIUM, LAST_ANSWER
from tests.system.questions import SCENE

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (apt-get install chromium)")
LINES = "\n\n".join(f"Line {number}." for number in range(100))
TOP = "() => document.querySelector('main').scrollTop"
BELOW = """() => {
  const { scrollHeight, scrollTop, clientHeight } = document.querySelector("main");
  return scrollHeight - scrollTop - clientHeight;
}"""
FOCUS = "() => document.activeElement.ariaLabel ?? document.activeElement.id"
PASTE_RICH = """() => {
  const transfer = new DataTransfer();
  transfer.setData("text/plain", "a word");
  transfer.setData("text/html", "<b>a word</b>");
  transfer.items.add(new File([new Uint8Array(9)], "image.png", { type: "image/png" }));
  const event = new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
  document.getElementById("question").dispatchEvent(event);
  return event.defaultPrevented;
}"""
MEDIA = """() => new Promise((done) => {
  const opening = indexedDB.open("edge");
  opening.onsuccess = () => {
    const asking = opening.result.transaction(["media"]).objectStore("media").getAllKeys();
    asking.onsuccess = () => done(asking.result);
  };
})"""


def test_the_end_of_an_answer_moves_and_folds_nothing(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        page = window.page
        window.drop(SCENE)
        window.asks("Hello")
        window.say(reasoning_content="Well.")
        window.say(LINES)
        page.click(f"{LAST_ANSWER} summary")
        page.evaluate("() => { window.image = document.querySelector('.message.user img'); }")
        page.evaluate("() => { document.querySelector('main').scrollTop = 40; }")
        page.wait_for_timeout(50)
        before = page.evaluate(TOP)
        window.answer(" End.")
        assert page.evaluate(TOP) == before
        assert page.is_visible(f"{LAST_ANSWER} .thought-text")
        assert page.evaluate("() => window.image.isConnected")
        window.asks("More", number=1)
        assert page.evaluate(BELOW) < 5


def test_what_is_being_written_stays_when_another_conversation_ends(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        page = window.page
        window.asks("First")
        window.answer("1")
        page.click("#new")
        window.asks("Second", number=1)
        page.click("#conversations .title:has-text('First')")
        page.click(".message.user button:has-text('Edit')")
        page.fill(".message.user textarea", "First, in other words")
        window.say("2", number=1)
        window.end(number=1)
        page.wait_for_timeout(100)
        assert page.input_value(".message.user textarea") == "First, in other words"
        page.fill(".message.user textarea", " ")
        page.click(".message.user button:has-text('Send')")
        assert page.is_visible(".message.user textarea")  # nothing to send


@pytest.mark.long
def test_a_result_that_is_being_written_stays(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url, count=2) as (window, other):
        window.asks("Weather?")
        call = {"index": 0, "id": "c", "function": {"name": "get_weather", "arguments": "{}"}}
        window.say(tool_calls=[call])
        window.end()
        window.page.fill(f"{LAST_ANSWER} textarea", "sun")
        other.open()  # shows the same conversation, and goes on in it
        other.asks("Hello")
        other.answer("Good day")
        window.page.wait_for_timeout(100)
        assert window.page.input_value(f"{LAST_ANSWER} textarea") == "sun"


def test_the_keyboard_does_not_lose_its_place(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        page = window.page
        window.asks("First")
        window.answer("1")
        page.focus(f"{LAST_ANSWER} button:has-text('Retry')")
        page.keyboard.press("Enter")
        page.wait_for_function("() => window.asked.length > 1")
        assert page.evaluate(FOCUS) == "question"
        window.answer("2", number=1)
        page.focus(f"{LAST_ANSWER} button[aria-label='Earlier version']")
        page.keyboard.press("Enter")
        expect(page.locator(f"{LAST_ANSWER} > .text")).to_have_text("1")
        page.focus(f"{LAST_ANSWER} button[aria-label='Later version']")
        page.keyboard.press("Enter")
        expect(page.locator(f"{LAST_ANSWER} > .text")).to_have_text("2")
        assert page.evaluate(FOCUS) == "question"  # there is no later one: the next place to go
        page.focus(".message.user button:has-text('Edit')")
        page.keyboard.press("Enter")
        assert page.evaluate(FOCUS) == "Edit the message"
        page.keyboard.press("Escape")
        assert page.evaluate("() => document.activeElement.textContent") == "Edit"


def test_text_goes_the_way_of_its_script(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        window.asks("שלום, מה שלומך?")
        window.answer("مرحبا بالعالم\n\nHello world\n\n* مرحبا")
        where = """(selector) => {
          const range = document.createRange();
          const block = document.querySelector(selector);
          range.selectNodeContents(block);
          const [text, box] = [range.getBoundingClientRect(), block.getBoundingClientRect()];
          return text.left - box.left > box.right - text.right + 20;
        }"""
        places = [f"{LAST_ANSWER} p:nth-child(1)", f"{LAST_ANSWER} p:nth-child(2)", f"{LAST_ANSWER} li"]
        assert [window.page.evaluate(where, one) for one in places] == [True, False, True]
        styles = "(one) => getComputedStyle(document.querySelector(one)).direction"
        assert window.page.evaluate(styles, f"{LAST_ANSWER} ul") == "rtl"  # its marks stand right, too
        window.page.fill("#question", "مرحبا")
        assert window.page.evaluate(styles, "#question") == "rtl"


def test_a_long_answer_is_shown_less_often_and_in_the_end_whole(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        window.asks("Hello")
        window.say((LINES + "\n\n") * 20 + "```\n" + "code\n" * 2000)
        shown = window.page.evaluate(
            """async () => {
              const text = document.querySelector(".answer > .text");
              let count = 0;
              new MutationObserver(() => (count += 1)).observe(text, { childList: true });
              for (let turn = 0; turn < 20; turn += 1) {
                window.asked[0].say({ content: "more\\n" });
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
              }
              return count;
            }"""
        )
        assert shown < 10
        window.end()
        expect(window.page.locator(f"{LAST_ANSWER}:not(.running) code")).to_contain_text("more\n" * 20)


@pytest.mark.long
def test_text_that_was_copied_with_a_picture_of_it_is_pasted_as_text(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        assert not window.page.evaluate(PASTE_RICH)
        assert window.page.is_hidden("#attached")


@pytest.mark.long
def test_pictures_that_are_not_sent_are_not_kept(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        window.drop(SCENE)
        window.page.click("#attached .remove")
        assert window.page.evaluate(FOCUS) == "question"
        window.page.wait_for_timeout(50)
        assert window.page.evaluate(MEDIA) == []
        window.drop(SCENE)
        later = "Date.now = ((now) => () => now() + 25 * 3600 * 1000)(Date.now)"
        window.page.context.add_init_script(later)
        window.open()  # a day later, as the page sees it
        window.page.wait_for_timeout(100)
        assert window.page.evaluate(MEDIA) == []
