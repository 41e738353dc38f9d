"""The server's page in Chromium: dark, narrow, by keyboard, for screen readers, offline, and against hostile text."""

from __future__ import annotations

import json

import pytest

from tests.system.server_process import ServerProcess

pytest.importorskip("playwright", reason="the page is tested with playwright (extra `test`)")

from playwright.sync_api import Browser, expect

from tests.system.page.browser import CHROMIUM, LAST_ANSWER, PageDriver, axe_script, visit
from tests.system.questions import DESCRIBE, DESCRIBED, FIND, SCENE, WEATHER

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (apt-get install chromium)")
needs_axe = pytest.mark.skipif(axe_script() is None, reason="axe is not here (pip install axe-playwright-python)")
NARROW = {"width": 360, "height": 700}
HOSTILE = """# <img src=x onerror=alert(1)>
[a](javascript:alert(1)) [b](data:text/html,x) ![c](https://example.org/c.png) <script>alert(1)</script>

```html
<iframe src="https://example.org"></iframe>
```

| <b>x</b> | y |
|---|---|
| <svg onload=alert(1)> | `<i>` |
"""
SLOW = ["*" * 20_000, "[" * 20_000, ">" * 20_000, "`" * 20_001 + "a", "**a " * 5_000, "![a](" * 4_000, "- a\n " * 4_000]
SHOW = """async (texts) => {
  const { showMarkdown } = await import("/page/markdown.js");
  const started = performance.now();
  const shown = texts.map((text) => {
    const place = document.createElement("div");
    showMarkdown(place, text);
    return place;
  });
  const elements = shown.flatMap((place) => [...place.querySelectorAll("*")]);
  const links = elements.filter((one) => one.tagName === "A").map((one) => one.href);
  return { ms: performance.now() - started, tags: [...new Set(elements.map((one) => one.tagName))], links };
}"""


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_colours_of_the_system(window: PageDriver, scheme: str, is_dark: bool) -> None:
    window.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    red, green, blue = _ground(window)
    assert (red + green + blue < 128 * 3) is is_dark


def test_the_settings_can_ask_for_dark(window: PageDriver) -> None:
    window.page.click("#open-settings")
    window.page.select_option("#settings [name=theme]", "dark")
    window.page.click("#settings button[type=submit]")
    assert max(_ground(window)) < 64
    window.open()
    assert max(_ground(window)) < 64


def test_the_empty_question_needs_no_scrollbar(window: PageDriver) -> None:
    assert window.page.eval_on_selector("#question", "area => area.scrollHeight <= area.clientHeight")


def test_a_narrow_window_shows_everything_and_folds_the_list(window: PageDriver) -> None:
    page = window.page
    page.set_viewport_size({"width": 360, "height": 700})
    window.drop(SCENE)
    window.ask(FIND)
    window.canvas()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.evaluate("() => document.querySelector('main').scrollWidth") <= NARROW["width"]
    expect(page.locator("#side")).not_to_be_visible()
    page.click("#menu")
    expect(page.locator("#conversations .title")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#side")).not_to_be_visible()


@needs_axe
def test_axe_finds_nothing_wrong_in_light_and_dark(window: PageDriver) -> None:
    page = window.page
    assert _violations(window) == []
    window.drop(SCENE)
    window.ask(FIND)
    window.canvas()
    window.set(tools=json.dumps([WEATHER]))
    window.ask("What is the weather in Paris?")
    page.click("details.thought summary >> nth=0")
    assert _violations(window) == []
    page.click(".message.user button:has-text('Edit') >> nth=0")
    page.click("#open-settings")
    assert _violations(window) == []
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 360, "height": 700})
    page.click("#menu")
    page.wait_for_timeout(100)
    assert _violations(window) == []


@needs_axe
def test_axe_finds_what_is_wrong(window: PageDriver) -> None:
    window.page.evaluate("() => document.querySelector('#question').previousElementSibling.remove()")
    window.page.evaluate("() => document.querySelector('#question').removeAttribute('placeholder')")
    assert any(one.startswith("label:") for one in window.violations())


def test_the_keyboard_is_enough(window: PageDriver) -> None:
    page = window.page
    page.focus("#open-settings")
    page.keyboard.press("/")
    page.keyboard.type("Hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("you")
    page.keyboard.press("Enter")
    window.wait_for_answer()
    assert page.inner_text(".message.user .text") == "Hello\nyou"
    assert page.inner_text("#announcer").startswith("Answer: ")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".message")).to_have_count(0)


def test_text_of_a_model_becomes_no_elements_of_its_own(window: PageDriver) -> None:
    shown = window.page.evaluate(SHOW, [HOSTILE])
    assert not {"IMG", "SCRIPT", "IFRAME", "SVG", "B", "I"} & set(shown["tags"])
    assert shown["links"] == ["https://example.org/c.png"]


def test_hostile_text_is_shown_in_time(window: PageDriver) -> None:
    assert window.page.evaluate(SHOW, SLOW)["ms"] < 5_000


def test_an_answer_shown_in_pieces_equals_the_whole(window: PageDriver) -> None:
    same = window.page.evaluate(
        """async (text) => {
          const { showMarkdown } = await import("/page/markdown.js");
          const [grown, whole] = [document.createElement("div"), document.createElement("div")];
          for (let end = 1; end <= text.length; end += 1) showMarkdown(grown, text.slice(0, end));
          showMarkdown(whole, text);
          return grown.innerHTML === whole.innerHTML;
        }""",
        HOSTILE + "\n\n- a\n  - *b*\n\n1. **c** d\n\n> e\n\n---\n[{}]",
    )
    assert same


def test_what_the_server_refuses_is_told_and_the_rest_stays(window: PageDriver) -> None:
    window.set(temperature="1.5", schema='{"type": "nothing"}')
    window.ask("Hello")
    assert "nothing" in window.page.inner_text(f"{LAST_ANSWER} .note.error")
    window.set(temperature="", schema="")
    window.page.click(f"{LAST_ANSWER} button:has-text('Retry')")
    window.wait_for_answer()
    assert window.page.is_hidden(f"{LAST_ANSWER} .note")
    window.complaints.clear()  # Chromium writes down every status of 400


def test_the_page_opens_while_the_server_is_off(browser: Browser) -> None:
    with ServerProcess() as server, visit(browser, server.url) as window:
        window.drop(SCENE)
        window.ask(DESCRIBE)
        window.page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
        window.open()
        server.stop()
        window.open()
        assert window.wait_for_answer() == DESCRIBED
        assert "cannot be reached" in window.page.inner_text("#trouble")


def test_the_page_asks_for_the_key_of_a_server_that_has_one(browser: Browser) -> None:
    with ServerProcess(extra_environment={"EDGE_API_KEY": "secret"}) as server, visit(browser, server.url) as window:
        assert "API key" in window.page.inner_text("#trouble")
        window.set(key="secret")
        expect(window.page.locator("#model option")).to_have_count(1)
        assert window.ask("Hello")


def test_the_page_can_be_installed(window: PageDriver) -> None:
    session = window.page.context.new_cdp_session(window.page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["display"] == "standalone"
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        [{"errorId": "in-incognito", "errorArguments": []}],
    )


def _violations(window: PageDriver) -> list[str]:
    """Look at the page as it stands in both colours: one conversation serves for both."""
    found = []
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        assert (sum(_ground(window)) < 128 * 3) is (scheme == "dark")
        found += [f"{scheme}: {one}" for one in window.violations()]
    return found


def _ground(window: PageDriver) -> tuple[int, int, int]:
    """Return the colour behind everything."""
    color: str = window.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in color[color.index("(") + 1 : -1].split(",")[:3])
    return red, green, blue
