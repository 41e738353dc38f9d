"""The server's page in several windows at once, with answers that break off, and where the browser keeps nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.server_process import ServerProcess

pytest.importorskip("playwright", reason="the page is tested with playwright (extra `test`)")

from playwright.sync_api import Browser, expect

from tests.system.page.answering import AnsweringDriver, windows
from tests.system.page.browser import CHROMIUM, LAST_ANSWER
from tests.system.questions import SCENE

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (apt-get install chromium)")
KEPT = """() => import("/page/store.js").then((store) => store.listConversations())"""
NO_STORAGE = """
  Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no", "SecurityError"); } });
  IDBFactory.prototype.open = () => { throw new DOMException("blocked", "SecurityError"); };
"""


def texts(window: AnsweringDriver) -> list[str]:
    return window.page.locator("#messages > article > .text").all_inner_texts()


def kept(window: AnsweringDriver) -> list[Any]:
    found: list[Any] = window.page.evaluate(KEPT)
    return found


def test_two_windows_take_nothing_from_each_other(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url, count=2) as (one, two):
        one.asks("First")
        one.answer("1")
        two.open()  # shows what was shown last: the same conversation
        assert texts(two) == ["First", "1"]
        one.asks("Second", number=1)
        one.say("2", number=1)
        two.asks("Third")
        two.answer("3")
        one.answer("2", number=1)
        (conversation,) = kept(one)
        assert sorted(node["text"] for node in conversation["nodes"].values()) == [
            *("1", "22", "3", "First", "Second", "Third"),
        ]
        assert {node.get("state", "done") for node in conversation["nodes"].values()} == {"done"}


@pytest.mark.long
def test_a_window_that_only_reads_follows(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url, count=2) as (one, two):
        one.asks("First")
        one.answer("1")
        two.open()
        one.asks("Second", number=1)
        one.answer("2", number=1)
        expect(two.page.locator(f"{LAST_ANSWER} > .text")).to_have_text("2")
        one.page.once("dialog", lambda dialog: dialog.accept())
        one.page.click("#conversations .icon")
        expect(two.page.locator("#messages > article")).to_have_count(0)
        expect(two.page.locator("#conversations li")).to_have_count(0)


def test_a_conversation_that_is_deleted_while_it_is_answered_stays_away(
    server: ServerProcess, browser: Browser
) -> None:
    with windows(browser, server.url) as (window,):
        window.asks("Hello")
        window.say("One")
        window.page.once("dialog", lambda dialog: dialog.accept())
        window.page.click("#conversations .icon")
        expect(window.page.locator("#conversations li")).to_have_count(0)
        window.page.wait_for_timeout(100)
        assert kept(window) == []
        assert window.page.is_visible("#send")


def test_an_answer_whose_connection_breaks_says_so_and_keeps_what_came(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        window.asks("Hello")
        window.say("Half of")
        window.end("break")
        note = window.page.locator(f"{LAST_ANSWER} .note.error")
        expect(note).to_have_text("The connection ended before the answer did. Try again.")
        assert texts(window)[-1] == "Half of"


def test_a_thought_that_a_reload_ended_is_over(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        window.asks("Hello")
        window.say(reasoning_content="Well, ")
        window.page.wait_for_timeout(600)
        window.say(reasoning_content="then.")
        window.page.wait_for_timeout(50)
        window.open()
        assert window.page.inner_text(f"{LAST_ANSWER} .note") == "Stopped."
        assert window.page.inner_text(f"{LAST_ANSWER} summary").startswith("Thought for 0.")


@pytest.mark.long
def test_a_browser_that_keeps_nothing_can_still_ask(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url, script=NO_STORAGE) as (window,):
        assert "keeps no conversations" in window.page.inner_text("#trouble")
        window.asks("Hello")
        window.answer("Good day")
        assert texts(window) == ["Hello", "Good day"]


def test_a_full_storage_is_told_where_people_look(server: ServerProcess, browser: Browser) -> None:
    with windows(browser, server.url) as (window,):
        session = window.page.context.new_cdp_session(window.page)
        session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1})
        window.asks("Hello")
        window.answer("Good day")
        assert "storage is full" in window.page.inner_text("#trouble")
        data = base64.b64encode(SCENE.read_bytes()).decode()
        window.page.evaluate(
            """async (data) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
              transfer.items.add(new File([bytes], "a.png", { type: "image/png" }));
              document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
            }""",
            data,
        )
        expect(window.page.locator("#trouble")).to_contain_text(
            "a.png could not be kept: this browser's storage is full"
        )


@pytest.mark.long
def test_a_forged_or_halved_file_is_taken_as_far_as_it_can_be_shown(
    server: ServerProcess, browser: Browser, tmp_path: Path
) -> None:
    node = {"id": "a", "parent": "zz", "role": "assistant", "text": 3, "calls": [None], "warnings": 7, "usage": "many"}
    more = {
        "id": "b",
        "parent": "a",
        "role": "user",
        "text": "Hi",
        "media": "none",
        "timings": {"predicted_per_second": []},
    }
    good = {"id": "c", "title": "Forged", "leaf": "gone", "nodes": {"a": node, "b": more, "c": None}}
    with windows(browser, server.url) as (window,):
        for name, conversations in (
            ("good", [good]),
            ("bad", [good, 3, {"nodes": {"a": {"role": "user", "calls": 1}}}]),
        ):
            file = tmp_path / f"{name}.json"
            head = {"format": "edge-conversations", "version": 1}
            file.write_text(json.dumps({**head, "conversations": conversations}), encoding="utf-8")
            window.page.set_input_files("#import-file", file)
            window.page.click("#conversations .title:has-text('Forged') >> nth=0")
            expect(window.page.locator("#messages > article")).to_have_count(2)
            assert texts(window) == ["3", "Hi"]
