"""Planning toward whole pictures of a world that the server has no simulator of, before a stand-in."""

import base64
import io

import pytest
from page_steps import button
from PIL import Image
from playwright.sync_api import expect
from service_stand_in import ENVIRONMENTS, ITERATIONS, PLAN, PLANNER, QUEUED, WORLD, events

NOWHERE = {"object_position": None}
ROOM = PLANNER | {"name": "room", "image_size": 96, "goal": "embedding", "follows": True}
ROOM_WORLD = WORLD | {
    "name": "room-world",
    "image_size": 96,
    "tasks": [],
    "control": [{"objective": "keypoints", "frames": 4, "candidates": 48, "iterations": 2, "horizon": 5}],
}
PLANNED = PLAN | {
    "start": NOWHERE,
    "goal": NOWHERE,
    "subgoals": [subgoal | NOWHERE for subgoal in PLAN["subgoals"]],
    "ends_at": 0,
    "cost": 0.25,
    "cost_history": [0.5, 0.25],
}


@pytest.fixture
def served(opened, stand_in):
    """``served(planners)``: the page of a server with a model of a room, beside these planners of pushing."""

    def make(pushing=()):
        stand_in.replies["/v1/models"] = {"models": [*pushing, ROOM, WORLD, ROOM_WORLD]}
        names = [planner["name"] for planner in pushing]
        environments = [ENVIRONMENTS[0] | {"planners": names}, ENVIRONMENTS[1]]
        stand_in.replies["/v1/environments"] = {"environments": environments}
        stand_in.replies["/v1/plans"] = events(("queued", QUEUED), *ITERATIONS, ("result", PLANNED))
        page = opened(address="")
        expect(page.locator("#server-status")).to_contain_text("Ready")
        return page

    return make


def upload(page, name, size):
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (9, 99, 200)).save(buffer, "PNG")
    file = {"name": f"{name}.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.get_by_label(f"Upload {name}").set_input_files(file)


def test_two_uploads_become_a_plan(served, stand_in):
    page = served()
    expect(page.get_by_label("Environment")).to_have_value("your pictures")
    expect(page.get_by_label("Planner")).to_have_value("room")
    expect(page.get_by_label("World model")).to_have_value("room-world")
    for hidden in ("#seed-form", "#gallery-title", "#execute", ".intro", "#dmc"):
        expect(page.locator(hidden)).to_be_hidden()
    upload(page, "start", 96)
    upload(page, "goal", 300)
    expect(page.locator("#start-note")).to_have_text("start.png, as it is")
    expect(page.locator("#goal-note")).to_contain_text("scaled here to 96 × 96, the model's size")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_have_text(
        "Planned in 202 ms: the goal is reached at subgoal 0, in 5 steps."
    )
    captions = page.locator("#strip figcaption")
    expect(captions).to_have_text(["Start", "step 5", "after the goal", "Goal"])
    expect(page.locator("#plan-facts")).to_contain_text("chosen plan0.25")
    expect(page.locator("#plan-result")).not_to_contain_text("px")
    (body,) = stand_in.sent("/v1/plans")
    assert body["model"] == "room"
    sizes = [Image.open(io.BytesIO(base64.b64decode(body[name]))).size for name in ("start", "goal")]
    assert sizes == [(96, 96), (96, 96)]
    assert stand_in.sent("/v1/scenes") == [] and stand_in.sent("/v1/episodes") == []


def test_plans_of_the_same_pictures_are_compared(served, stand_in):
    page = served()
    upload(page, "start", 96)
    upload(page, "goal", 96)
    expect(page.locator("#goal-note")).to_have_text("goal.png, as it is")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned in")
    other = PLANNED | {"seed": 8, "digest": "8a" * 32, "id": "8a" * 32}
    stand_in.replies["/v1/plans"] = events(("queued", QUEUED), *ITERATIONS, ("result", other))
    button(page, "Another seed").click()
    second = page.locator("#compare-second")
    expect(second.locator("dd").nth(1)).to_have_text("in 5 steps")
    second.get_by_role("button", name="Show this plan").click()
    expect(page.locator("#plan-facts")).to_contain_text("8a8a8a8a8a8a")
    assert stand_in.sent("/v1/episodes") == []


def test_pushing_stays_the_first_where_it_can_be_planned(served):
    page = served([PLANNER])
    expect(page.get_by_label("Environment")).to_have_value("push")
    expect(page.get_by_label("Planner").locator("option")).to_have_text(["planner"])
    page.get_by_label("Environment").select_option("your pictures")
    expect(page.get_by_label("Planner").locator("option")).to_have_text(["room"])
    expect(page.locator("#start-note")).to_have_text("none yet")
    expect(page.locator("#plan-result")).to_be_hidden()
