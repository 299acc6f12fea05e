"""What tests of the page do again and again."""

import time

from playwright.sync_api import expect


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def render_and_plan(page):
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 3")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned in 202 ms")


def eventually(page, look, wanted, seconds=20):
    """Waits until ``look()`` is what is wanted; fails with what it is instead."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert found == wanted


def expect_pixel(page, selector, colour):
    """Waits for a colour in the corner of a canvas: pictures are drawn once they are decoded."""
    eventually(page, lambda: pixel(page, selector), colour)


def pixel(page, selector):
    """The colour in the corner of a canvas: what is really on the screen."""
    return page.locator(selector).evaluate(
        "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, 1, 1).data.slice(0, 3))"
    )
