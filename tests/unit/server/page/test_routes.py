"""The page's files: what is kept for offline use, and what the worker may keep."""

from __future__ import annotations

import re

from edge.run.sample import SAMPLING_BOUNDS
from edge.server.page.routes import FILES, FOLDER, HEADERS, WORKER
from tests.unit.server.conftest import Caller


def test_the_worker_keeps_every_file_but_itself_and_the_page() -> None:
    text = (FOLDER / "worker.js").read_text(encoding="utf-8")
    kept = re.findall(r'"([\w.-]+)"', text[text.index("const FILES") : text.index("].map")])
    assert {f"/page/{name}" for name in kept} == set(FILES) - {WORKER, "/page/index.html"}


def test_the_policy_allows_no_inline_code() -> None:
    assert "unsafe" not in HEADERS["content-security-policy"]
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", text)


def test_no_file_names_another_place() -> None:
    for path in FILES.values():
        if path.suffix in (".html", ".css", ".js", ".webmanifest"):
            found = re.findall(r"https?://[\w.]+", path.read_text(encoding="utf-8"))
            assert found == [], path.name


def test_the_worker_may_keep_the_page_itself(caller: Caller) -> None:
    assert caller.get(WORKER).headers["service-worker-allowed"] == "/"
    assert "service-worker-allowed" not in caller.get("/page/app.js").headers


def test_the_pages_fields_ask_for_nothing_that_the_engine_refuses() -> None:
    text = (FOLDER / "settings.js").read_text(encoding="utf-8")
    found = re.findall(r'number\("(\w+)", "[^"]*", (-?[\d._]+), (-?[\d._]+), [\d._]+\)', text)
    ranges = {name: (float(low), float(high)) for name, low, high in found}
    shared = ranges.keys() & SAMPLING_BOUNDS.keys()
    assert len(shared) >= 7
    for name in shared:
        low, high, is_low_open, _ = SAMPLING_BOUNDS[name]
        assert low < ranges[name][0] if is_low_open else low <= ranges[name][0], name
        assert ranges[name][1] <= high, name
