"""A page in headless Chromium, with what it logs and asks for."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class OpenPage:
    """A page, what it logged as warning or error, and which addresses it asked for."""

    page: "Page"
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start Chromium. The test is skipped where it is not installed, but fails in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        reason = f"needs Playwright (make test installs it) and one of {', '.join(names)}"
        # A person may have no browser; .ci/run installs one, so that there nothing is left out.
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def open_page(
    browser: "Browser",
    path: Path,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> OpenPage:
    """Open a file, and wait until its charts are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = OpenPage(page)
    page.on(
        "console",
        lambda one: opened.problems.append(one.text) if one.type != "log" else None,
    )
    page.on("pageerror", lambda error: opened.problems.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(path.as_uri())
    for measure in ("error", "loss"):
        page.wait_for_selector(f"[data-chart={measure}] svg")
    return opened
