"""Drive the server's page in Chromium as a visitor would."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--use-fake-device-for-media-stream",  # a camera that shows a field with a moving disc
]
ANSWER_MS = 60_000
LAST_ANSWER = "#messages > article:last-child.answer"
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


class PageDriver:
    """One window with the page in it.

    Attributes:
        page: The window.
        requests: Addresses that the page asked for.
        complaints: Errors on the browser's console.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.open()

    def open(self) -> None:
        """Load the page, anew too, and wait until it can be used."""
        self.page.goto(f"{self.url}/")
        self.page.wait_for_selector("html[data-ready]")

    def drop(self, path: Path, kind: str = "image/png") -> None:
        """Drop a file from elsewhere on the page."""
        self.page.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode()])
        self.page.wait_for_selector("#attached .medium > *")

    def ask(self, text: str) -> str:
        """Send a question and return the shown answer."""
        self.send(text)
        return self.wait_for_answer()

    def send(self, text: str) -> None:
        """Send a question."""
        self.page.fill("#question", text)
        self.page.press("#question", "Enter")

    def wait_for_answer(self) -> str:
        """Wait until the last answer is whole; return its text."""
        self.page.wait_for_selector(f"{LAST_ANSWER}:not(.running) .stats", timeout=ANSWER_MS)
        return self.page.inner_text(f"{LAST_ANSWER} > .text")

    def set(self, **values: str) -> None:
        """Fill in settings and save them."""
        self.page.click("#open-settings")
        for name, value in values.items():
            self.page.fill(f"#settings [name={name}]", value)
        self.page.click("#settings button[type=submit]")
        self.page.wait_for_selector("#settings", state="hidden")

    def canvas(self) -> Image.Image:
        """Return what is drawn on the last answer's picture."""
        self.page.wait_for_function("() => document.querySelector('.marked canvas')?.ariaLabel?.includes('at')")
        self.page.wait_for_timeout(100)
        data = self.page.evaluate("[...document.querySelectorAll('.marked canvas')].pop().toDataURL().split(',')[1]")
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def violations(self) -> list[str]:
        """Return what axe finds wrong with the page as it is shown now."""
        script = axe_script()
        assert script is not None
        self.page.evaluate(script.read_text(encoding="utf-8"))
        found: Any = self.page.evaluate("axe.run()")  # Any: JSON
        return [
            f"{one['id']}: {json.dumps([node['html'][:200] for node in one['nodes']])}" for one in found["violations"]
        ]


def axe_script() -> Path | None:
    """Find axe-core's script, which a Python package carries; None without that package."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "axe.min.js"


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[PageDriver]:
    """Open the page in a browser that has never seen it; nothing may be asked for from elsewhere."""
    context = browser.new_context(viewport={"width": 1100, "height": 760}, color_scheme="light")
    try:
        driver = PageDriver(context.new_page(), url)
        yield driver
        foreign = [one for one in driver.requests if not one.startswith((f"{url}/", "data:", f"blob:{url}/"))]
        assert not foreign
    finally:
        context.close()
