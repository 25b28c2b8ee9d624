"""A real headless Chromium, wherever there is one, and what it must never do on a page of ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"
QUIET = ("log", "info", "debug", "verbose")


def binary() -> str:
    """The one that ``BIDISYNC_TEST_CHROMIUM`` names, else one on the PATH; without one a skip, in CI a failure."""
    named = os.environ.get("BIDISYNC_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        reason = "no Chromium: install Debian's package chromium, or name one in BIDISYNC_TEST_CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found


@attrs.define
class Watched:
    """What a page did that it must not: lines on its console, failures, other hosts, barriers."""

    host: str
    wrong: list[str] = attrs.Factory(list)

    def watch(self, page: Page) -> None:
        """Remember everything that goes wrong on this page."""
        page.on("console", lambda line: None if line.type in QUIET else self.wrong.append(f"{page.url}: {line.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", lambda answer: self._answered(answer.url, answer.status))

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self.host:
            self.wrong.append(f"a request to another host: {url}")

    def _answered(self, url: str, status: int) -> None:
        if status >= 400:
            self.wrong.append(f"{status} for {url}")

    async def look(self, page: Page, name: str) -> None:
        """Keep a picture of the page; note what keeps people from using it, and what does not fit its width."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        found = (await Axe().run(page)).response["violations"]
        self.wrong += [
            f"{name}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}"
            for one in found
            if one["impact"] in ("moderate", "serious", "critical")
        ]
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            self.wrong.append(f"{name}: wider than the screen")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser."""
    path = binary()
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()
