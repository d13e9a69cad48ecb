"""A real browser: Debian's Chromium, without a screen; journeys by keyboard, and what axe finds."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
MOST_TABS = 250
PATIENCE = 60_000
"""Milliseconds until a page that does not come is an error: machines that test are slow."""


@contextmanager
def headless() -> Iterator[Browser]:
    """The browser, until the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@dataclass
class Seat:
    """Somebody at a screen of this size and scheme, with scripts or without."""

    browser: Browser
    url: str

    @contextmanager
    def page(
        self, *, width: int = 1440, scheme: str = "light", scripts: bool = True, state: object = None
    ) -> Iterator[Page]:
        """A page of a fresh session, or of one that was begun before; any error in its scripts fails the test."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
            base_url=self.url,
            storage_state=state,  # type: ignore[arg-type]  # what another context's storage_state() gave
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        yield page
        context.close()
        assert not failed, failed


def reach(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    target.wait_for(state="visible")
    for _ in range(MOST_TABS):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"not reached by the keyboard: {target}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Reach a link or a button, press it, and wait until its page is there."""
    reach(page, target)
    with page.expect_navigation():
        page.keyboard.press(key)


def write(page: Page, target: Locator, text: str) -> None:
    """Reach a field and type into it, in place of what stood there."""
    reach(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def assert_accessible(page: Page) -> None:
    """Nothing that axe knows of is wrong, and nothing sticks out at the side."""
    found = Axe().run(page)
    said = [f"{v['id']}: {v['help']}: {[n['target'] for n in v['nodes']][:4]}" for v in found.response["violations"]]
    assert not said, (page.url, said)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, (page.url, wider)
