"""What axe-core finds on the page in its main states: nothing, on small and large screens, light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_steps import button
from playwright.sync_api import expect

PROBLEM = {
    "type": "urn:waymark:problem:unreadable-scene",
    "title": "The pictures show no scene that can be set up",
    "status": 422,
    "detail": "The start picture shows no wall.",
    "request_id": "r",
    "errors": [{"field": "start", "message": "The start picture shows no wall."}],
}


@pytest.fixture(params=[(360, "light"), (1440, "dark")], ids=str)
def visit(request, opened):
    """``visit(address)``: the page; the checks come as a script of their own, which its policy refuses."""
    width, scheme = request.param
    return lambda address: opened(
        width, address, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )


def check(page):
    """Everything that axe-core knows, best practices included."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


def test_faults_are_found(opened):
    page = opened(bypass_csp=True)
    page.locator("#plan-work").evaluate("(node) => node.append(document.createElement('img'))")
    assert [fault["id"] for fault in Axe().run(page).response["violations"]] == ["image-alt"]


def test_first_visit_plan_and_execution(visit):
    page = visit("")
    check(page)
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.locator("#gallery button")).to_have_count(2)
    check(page)
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    page.get_by_label("keypoints").check()
    expect(page.locator("circle.keypoint").first).to_be_attached()
    check(page)


def test_comparison_and_failure(visit):
    page = visit("?environment=push&scene=3&show=plan.execute&execute.episode_seed=13")
    expect(page.locator("#execute-advice")).to_be_visible()
    check(page)
    button(page, "Another plan").click()
    expect(page.locator("#compare")).to_be_visible()
    check(page)


def test_refusals(visit, stand_in, provoked):
    provoked |= {"status of 422"}
    scenes = stand_in.replies["/v1/scenes"]
    stand_in.replies["/v1/scenes"] = lambda route, request: (
        route.fulfill(status=422, content_type="application/problem+json", json=PROBLEM)
        if "start" in request.post_data_json
        else scenes(route, request)
    )
    page = visit("")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    with page.expect_request("**/v1/scenes"):
        page.locator(".well").first.evaluate(DROP)
    expect(page.get_by_role("alert")).to_contain_text("The start picture shows no wall.")
    page.get_by_label("Samples").fill("1")
    button(page, "Plan").click()
    expect(page.get_by_label("Samples")).to_be_focused()
    check(page)


DROP = """async (well) => {
  const blob = await new Promise((done) => document.createElement("canvas").toBlob(done));
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "photo.png", { type: "image/png" }));
  well.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
}"""


def test_key_is_asked_for(visit, stand_in, provoked):
    provoked |= {"status of 401"}
    refusal = {"title": "A key is needed", "status": 401, "detail": "Send one.", "request_id": "r"}
    stand_in.replies |= {"/v1/models": refusal, "/v1/environments": refusal}
    page = visit("")
    expect(page.get_by_label("API key")).to_be_focused()
    check(page)


def test_dm_control(visit):
    page = visit("?environment=cartpole-balance")
    expect(page.locator("#server-status")).to_contain_text("Ready")
    check(page)
    page.locator("#clip").click()
    expect(page.locator("#clip-status")).to_contain_text("foreseen")
    page.locator("#loop").click()
    expect(page.locator("#loop-status")).to_contain_text("Return")
    check(page)
