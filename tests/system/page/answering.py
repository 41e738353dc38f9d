"""Answer the page's questions from inside the browser, piece by piece, as a test wants them to come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser

from tests.system.page.browser import LAST_ANSWER, PageDriver

ANSWERING = """() => {
  const fetch = window.fetch.bind(window);
  window.asked = [];
  window.fetch = (path, options) => {
    if (path !== "/v1/chat/completions") return fetch(path, options);
    let stream;
    const body = new ReadableStream({ start: (one) => (stream = one) });
    const write = (text) => stream.enqueue(new TextEncoder().encode(`data: ${text}\\n\\n`));
    options.signal.addEventListener("abort", () => stream.error(new DOMException("stopped", "AbortError")));
    window.asked.push({
      body: JSON.parse(options.body),
      say: (delta) => write(JSON.stringify({ choices: [{ delta }] })),
      end: () => (write("[DONE]"), stream.close()),
      break: () => stream.error(new TypeError("network error")),
    });
    return Promise.resolve(new Response(body));
  };
}"""


class AnsweringDriver(PageDriver):
    """A window whose answers the test gives."""

    def asks(self, text: str, *, number: int = 0) -> None:
        """Send a question and wait until it is asked, as the window's question of that number from 0."""
        self.send(text)
        self.page.wait_for_function(f"() => window.asked.length > {number}")

    def say(self, text: str = "", *, number: int = 0, **delta: Any) -> None:  # Any: JSON
        """Give a piece of an answer and wait until it is shown, if it is of the last one."""
        delta = {"content": text, **delta} if text else delta
        self.page.evaluate(f"(delta) => window.asked[{number}].say(delta)", delta)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def end(self, how: str = "end", *, number: int = 0) -> None:
        """End an answer, or let its connection `break`."""
        self.page.evaluate(f"() => window.asked[{number}].{how}()")

    def answer(self, text: str, *, number: int = 0) -> None:
        """Give a whole answer and wait until it is shown as one."""
        self.say(text, number=number)
        self.end(number=number)
        self.page.wait_for_selector(f"{LAST_ANSWER}:not(.running) .stats")


@contextmanager
def windows(browser: Browser, url: str, *, count: int = 1, script: str = "") -> Iterator[list[AnsweringDriver]]:
    """Open windows of one visitor who has never been there; a script runs before the page's own."""
    context = browser.new_context(viewport={"width": 1100, "height": 760}, color_scheme="light")
    context.add_init_script(f"({ANSWERING})(); {script}")
    try:
        opened = [AnsweringDriver(context.new_page(), url) for _ in range(count)]
        yield opened
        assert [one.complaints for one in opened] == [[]] * count
    finally:
        context.close()
