"""The server's page in Chromium: pictures pasted and taken, videos and PDF files, and what is told about them."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from edge.loading import demo_folder
from tests.system.server_process import ServerProcess

pytest.importorskip("playwright", reason="the page is tested with playwright (extra `test`)")

from playwright.sync_api import Browser, expect

from tests.system.page.browser import CHROMIUM, LAST_ANSWER, PageDriver, visit
from tests.system.questions import DESCRIBE, DESCRIBED, IMAGES, SCENE

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM} (apt-get install chromium)")
SIGN = IMAGES / "sign.png"
PASTE = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const event = new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def test_a_pasted_picture_goes_with_the_question_and_pasted_text_stays_text(window: PageDriver) -> None:
    window.page.focus("#question")
    data = base64.b64encode(SCENE.read_bytes()).decode()
    assert window.page.evaluate(PASTE, ["", "image/png", data])
    window.page.wait_for_selector("#attached .medium img")
    assert window.ask(DESCRIBE) == DESCRIBED
    assert not window.page.evaluate(PASTE.replace("transfer.items.add(new File([bytes], name, { type }));", ""),
                                    ["", "", ""])  # fmt: skip


def test_a_video_is_watched(window: PageDriver) -> None:
    pytest.importorskip("av", reason="video files are read with av (extra `video`)")
    window.drop(demo_folder() / "samples" / "appear.mp4", "video/mp4")
    assert window.ask("When does the red star appear?") == "The red star appears at second 3."
    expect(window.page.locator(".message.user video")).to_have_count(1)


def test_a_page_of_a_pdf_is_read(window: PageDriver, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="PDF files are read with pypdfium2 (extra `pdf`)")
    file = tmp_path / "sign.pdf"
    Image.open(SIGN).convert("RGB").save(file)
    window.drop(file, "application/pdf")
    assert window.page.inner_text("#attached .chip") == "sign.pdf"
    assert window.ask("What does the sign say?") == 'It says "APPLE".'


def test_a_picture_is_taken_with_the_camera(window: PageDriver) -> None:
    page = window.page
    page.context.grant_permissions(["camera"])
    page.click("#shoot")
    page.wait_for_function("() => document.querySelector('#camera video')?.videoWidth > 0")
    page.click("#camera button:has-text('Take picture')")
    page.wait_for_selector("#attached .medium img")
    expect(page.locator("#camera")).not_to_be_visible()
    assert page.get_attribute("#attached img", "alt") == "camera.jpg"
    data = page.evaluate(
        """() => {
          const image = document.querySelector("#attached img");
          const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
          canvas.getContext("2d").drawImage(image, 0, 0, 64, 64);
          return canvas.toDataURL().split(",")[1];
        }"""
    )
    colors = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").getcolors(1 << 12)
    assert colors is not None
    assert len(colors) > 2  # Chromium's pretended camera shows a field with a moving disc
    assert window.ask("What is in this picture?")


def test_a_camera_that_is_refused_is_told(server: ServerProcess, browser: Browser) -> None:
    with visit(browser, server.url) as window:
        window.page.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('Permission denied')); }"
        )
        window.page.click("#shoot")
        expect(window.page.locator("#trouble")).to_have_text("The camera cannot be used: Permission denied")


def test_a_file_of_another_kind_is_refused_by_name(window: PageDriver) -> None:
    page = window.page
    page.set_input_files("#files", {"name": "a.zip", "mimeType": "application/zip", "buffer": b"PK"})
    expect(page.locator("#trouble")).to_have_text("a.zip is no picture, video or PDF.")


def test_memory_and_a_picture_made_smaller_are_told(window: PageDriver, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (640, 480), "red").save(large)
    window.set(max_pixels="20000")
    window.drop(large)
    window.ask(DESCRIBE)
    assert re.search(r"\b0\.\d\d GB of memory\b", window.page.inner_text(f"{LAST_ANSWER} .stats"))
    assert "640" in window.page.inner_text(f"{LAST_ANSWER} .note")
