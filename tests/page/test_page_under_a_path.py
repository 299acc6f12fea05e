"""The page behind a proxy that serves it under a path, on a server that is told so."""

from collections.abc import Callable
from threading import Thread
from time import sleep

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from server.app import create_app
from server.http.connection import configure
from server.models.service import ModelService
from server.settings import Settings


@pytest.mark.parametrize("path", ["/", "/some/where/"])
def test_the_page_finds_its_files_and_the_service(new_page: Callable[..., Page], path: str) -> None:
    settings = Settings(models=("none",), root_path=path, port=0)

    def load(name: str, device: str) -> None:
        raise AssertionError("no model is needed")

    service = ModelService(settings, load)  # type: ignore[arg-type]
    service.load_all = dict  # type: ignore[method-assign, assignment]
    server = uvicorn.Server(configure(create_app(settings, service), settings, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server has ended"
            sleep(0.01)
        origin = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        page = new_page()
        failed: list[str] = []
        page.on("response", lambda reply: failed.append(reply.url) if reply.status == 404 else None)
        with page.expect_response(f"{origin}{path}v1/environments") as asked:
            page.goto(origin + path)
        assert asked.value.ok
        expect(page.locator("h1")).to_have_text("Waymark")
        assert page.evaluate("document.styleSheets.length") > 0 and not failed
    finally:
        server.should_exit = True
        thread.join(timeout=20)
