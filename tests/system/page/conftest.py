"""One server, one browser and a fresh window for each test of the page; playwright is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.system.server_process import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.system.page.browser import PageDriver


@pytest.fixture(scope="package")
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    from tests.system.page.browser import launch

    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture
def window(server: ServerProcess, browser: Browser) -> Iterator[PageDriver]:
    from tests.system.page.browser import visit

    with visit(browser, server.url) as driver:
        yield driver
        assert driver.complaints == []
