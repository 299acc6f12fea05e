"""What a person sees who has never been here, before a stand-in for the service."""

import pytest
from page_steps import button
from playwright.sync_api import expect


def test_first_visit_finds_words_a_picture_and_a_finished_plan(opened, stand_in):
    page = opened(address="")
    expect(page.locator(".intro .lead")).to_contain_text("Give a picture of the table as it is")
    expect(page.get_by_role("img", name="A table with puck, wall and arm")).to_be_visible()
    expect(page.get_by_role("list", name="Marks in the pictures").get_by_role("listitem")).to_have_text(
        ["puck, as found", "wall, in the way", "robot arm", "planned path", "executed path",
         "subgoal, reached inside"]
    )  # fmt: skip
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.locator("#strip canvas")).to_have_count(4)
    assert [body["seed"] for body in stand_in.sent("/v1/plans")] == [7]


def test_execution_is_watched_after_two_clicks(opened):
    page = opened(address="")
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    button(page, "Play").click()
    expect(page.get_by_role("slider", name="Step")).to_have_value("5")


def test_example_gives_way_to_whoever_begins_something_else(opened, stand_in):
    waiting = []
    scenes = stand_in.replies["/v1/scenes"]
    stand_in.replies["/v1/scenes"] = lambda route, request: (
        waiting.append(route) if request.post_data_json["seed"] == 3 else scenes(route, request)
    )
    page = opened(address="")
    expect(page.locator("#gallery button")).to_have_count(2)
    button(page, "Scene with seed 1").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 1")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    assert len(waiting) == 1 and len(stand_in.sent("/v1/plans")) == 1


@pytest.mark.parametrize("status", [422, 503])
def test_charts_of_nothing_do_not_stay(opened, stand_in, provoked, status):
    provoked.add(f"status of {status}")
    refusal = {"title": "No", "status": status, "detail": "Not now.", "request_id": "r"}
    stand_in.replies |= {"/v1/plans": refusal, "/v1/clips": refusal, "/v1/episodes": refusal}
    page = opened(address="")
    expect(page.locator("#plan-notice")).to_contain_text("No Not now.")
    expect(page.locator("#plan-result")).to_be_hidden()
    page.get_by_label("Environment").select_option("cartpole-balance")
    for name in ("clip", "loop"):
        page.locator(f"#{name}").click()
        expect(page.locator(f"#{name}-notice")).to_contain_text("No Not now.")
        expect(page.locator(f"#{name}-result")).to_be_hidden()
