"""The page behind a proxy that serves it under a path, on a server that is told so."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect


@pytest.mark.parametrize("path", ["/", "/some/where/"])
def test_the_page_finds_its_files_and_the_service(
    new_page: Callable[..., Page], served_under: Callable[..., Any], path: str
) -> None:
    with served_under(path) as url:
        page = new_page()
        failed: list[str] = []
        page.on("response", lambda reply: failed.append(reply.url) if reply.status == 404 else None)
        with page.expect_response(f"{url}v1/environments") as asked:
            page.goto(url)
        assert asked.value.ok
        expect(page.locator("h1")).to_have_text("Waymark")
        assert page.evaluate("document.styleSheets.length") > 0 and not failed
