"""The description for readers: Swagger UI from files of the server, under the server's own policy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from server.keys import add_key


@pytest.mark.parametrize("path", ["/", "/some/where/"])
def test_docs_list_what_can_be_asked_and_ask_it(
    new_page: Callable[..., Page], served_under: Callable[..., Any], path: str, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys.txt", "reader")
    with served_under(path, keys_file=tmp_path / "keys.txt") as url:
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
