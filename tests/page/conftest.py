"""The page in a headless Chromium, before a stand-in for the service or the service itself."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright
from service_stand_in import (
    ENVIRONMENTS,
    PLANNER,
    WORLD,
    StandIn,
    clip,
    computed,
    episode,
    keypoints,
    plan,
    predictions,
    rewards,
    scene,
)

from server.app import create_app
from server.http import page as page_files
from server.http.connection import configure
from server.http.middleware import SafeHeaders
from server.models.service import ModelService
from server.settings import Settings

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_PATIENCE = 20_000
"""Milliseconds that a test waits for what is to come: a busy machine is slow."""
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));
"""


# Not for the whole session: while Playwright runs, no other test of the process can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium here: install the package chromium")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def provoked() -> set[str]:
    """Parts of log lines that a test wants: Chromium logs every refusal as an error."""
    return set()


@pytest.fixture
def new_page(browser: Browser, provoked: set[str]) -> Iterator[Callable[..., Page]]:
    """``new_page(width=1440, **context)``: an empty page; errors in its console fail the test at its end."""
    complaints: list[str] = []
    contexts = []

    def make(width: int = 1440, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(_PATIENCE)
        context.add_init_script(_REPORT_VIOLATIONS)
        page = context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert [line for line in complaints if not any(part in line for part in provoked)] == []


@pytest.fixture(scope="module")
def files_url() -> Iterator[str]:
    """The files of the page with their headers, and nothing behind them."""
    app = FastAPI()
    app.include_router(page_files.router)
    app.add_middleware(SafeHeaders)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server has ended"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def stand_in() -> StandIn:
    """A service with one environment of each kind, whose plans take two iterations."""
    stand_in = StandIn()
    stand_in.replies = {
        "/readyz": {"status": "ready"},
        "/v1/models": {"models": [PLANNER, WORLD]},
        "/v1/environments": {"environments": ENVIRONMENTS},
        "/v1/scenes": computed(scene),
        "/v1/plans": plan,
        "/v1/episodes": episode,
        "/v1/keypoints": computed(keypoints),
        "/v1/clips": computed(clip),
        "/v1/rewards": computed(rewards),
        "/v1/predictions": computed(predictions),
    }
    return stand_in


@pytest.fixture
def opened(new_page: Callable[..., Page], files_url: str, stand_in: StandIn) -> Callable[..., Page]:
    """``opened(width=1440, address=..., **context)``: the page before the stand-in, by default without the
    example of a first visit.
    """

    def make(width: int = 1440, address: str = "?environment=push", **options: Any) -> Page:
        page = new_page(width, **options)
        for path in ("v1/**", "readyz"):
            page.route(files_url + path, stand_in.answer)
        page.goto(files_url + address)
        return page

    return make


@pytest.fixture
def served_under() -> Callable[..., Any]:
    """``served_under(path, **settings)``: a context with a server without models; gives its URL."""

    def load(name: str, device: str) -> None:
        raise AssertionError("no model is needed")

    @contextmanager
    def serve(path: str, **settings: Any) -> Iterator[str]:
        chosen = Settings(models=("none",), root_path=path, port=0, **settings)
        service = ModelService(chosen, load)  # type: ignore[arg-type]
        service.load_all = dict  # type: ignore[method-assign, assignment]
        server = uvicorn.Server(configure(create_app(chosen, service), chosen, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server has ended"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{path}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)

    return serve
