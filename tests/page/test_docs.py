"""The description for readers: Swagger UI from files of the server, under the server's own policy."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from server.app import create_app
from server.http.connection import configure
from server.keys import add_key
from server.models.service import ModelService
from server.settings import Settings


@pytest.mark.parametrize("path", ["/", "/some/where/"])
def test_docs_list_what_can_be_asked_and_ask_it(
    new_page: Callable[..., Page], path: str, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys.txt", "reader")
    settings = Settings(models=("none",), root_path=path, port=0, keys_file=tmp_path / "keys.txt")

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
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{path}"
        page = new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        # What the page does with a key that it is given.
        page.add_init_script(f"sessionStorage.setItem('waymark-key', '{key}')")
        page.goto(f"{url}docs")
        for name in ("create_plan", "choose_action", "run_episode"):
            expect(page.locator(f"[id$='-{name}']")).to_be_visible()
        page.locator("[id$='-list_environments']").click()
        page.locator("[id$='-list_environments'] button.execute").click()
        expect(page.locator("[id$='-list_environments'] .live-responses-table")).to_contain_text(
            "push-two-walls"
        )
        assert {request.startswith((url, "data:")) for request in asked} == {True}
    finally:
        server.should_exit = True
        thread.join(timeout=20)
