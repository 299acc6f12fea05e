"""What the page says of what is refused, breaks off or is cancelled, with a stand-in for the service."""

import json
from functools import partial

import pytest
from page_steps import button, eventually, render_and_plan
from playwright.sync_api import expect
from service_stand_in import ENVIRONMENTS, ITERATIONS, PLANNER, WORLD, events


def test_work_over_the_limit_is_seen_before_it_is_sent(opened):
    page = opened()
    page.get_by_label("Samples").fill("2000")
    page.get_by_label("Iterations").fill("11")
    expect(page.locator("#plan-work.over")).to_have_text(
        "2000 samples × 2 keyframes × 11 iterations = 44,000 frames imagined, 110 % of the limit"
    )
    page.get_by_label("Iterations").fill("21")
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_contain_text("rendered")
    button(page, "Plan").click()
    expect(page.get_by_label("Iterations")).to_have_accessible_description("A whole number from 1 to 20.")
    expect(page.get_by_label("Iterations")).to_be_focused()


def test_refused_fields_are_named_beside_them(opened, stand_in, provoked):
    provoked.add("status of 422")
    stand_in.replies["/v1/plans"] = {
        "type": "urn:waymark:problem:invalid-request",
        "title": "The request is not valid",
        "status": 422,
        "detail": "samples: so many are too many",
        "request_id": "r-1",
        "errors": [{"field": "samples", "message": "So many are too many."}],
    }
    page = opened()
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_contain_text("rendered")
    button(page, "Plan").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "The request is not valid samples: so many are too many"
    )
    expect(page.get_by_role("alert")).to_contain_text("Request r-1")
    expect(page.get_by_label("Samples")).to_have_accessible_description("So many are too many.")
    expect(button(page, "Plan")).to_be_enabled()


@pytest.mark.parametrize("status", [429, 503])
def test_busy_server_says_when_to_try_again(opened, stand_in, provoked, status):
    provoked.add(f"status of {status}")
    good = stand_in.replies["/v1/plans"]
    stand_in.replies["/v1/plans"] = {
        "title": "The server is busy",
        "status": status,
        "detail": "8 requests are waiting.",
        "request_id": "r",
    }
    page = opened()
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_contain_text("rendered")
    # The page's clock stands still until it is told to go on.
    page.clock.install(time=0)
    page.clock.pause_at(3600)
    button(page, "Plan").click()
    expect(page.get_by_role("alert")).to_contain_text("The server is busy 8 requests are waiting.")
    expect(button(page, "Try again in 1 s")).to_be_visible()
    stand_in.replies["/v1/plans"] = good
    page.clock.run_for(1000)
    button(page, "Try again").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_stream_that_breaks_off_or_ends_in_an_error(opened, stand_in, provoked):
    provoked.add("net::ERR_FAILED")
    problem = {
        "title": "The deadline passed",
        "status": 503,
        "detail": "It passed.",
        "request_id": "r",
        "type": "t",
    }
    page = opened()
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_contain_text("rendered")
    for reply, words in {
        events(*ITERATIONS): "The connection ended early",
        events(*ITERATIONS, ("error", problem)): "The deadline passed It passed.",
        lambda route, _: route.abort(): "The server cannot be reached",
    }.items():
        stand_in.replies["/v1/plans"] = reply
        button(page, "Plan").click()
        expect(page.get_by_role("alert")).to_contain_text(words)


def test_cancelling_leaves_the_connection(opened, stand_in):
    stand_in.replies["/v1/plans"] = lambda route, _: None
    page = opened()
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_contain_text("rendered")
    with page.expect_request("**/v1/plans"):
        button(page, "Plan").click()
    page.locator("#plan-cancel").click()
    expect(page.locator("#plan-status")).to_have_text("Cancelled.")
    expect(button(page, "Plan")).to_be_enabled()
    eventually(page, lambda: failed, ["net::ERR_ABORTED"])


def test_server_that_warms_up_is_waited_for(opened, stand_in, provoked):
    provoked.add("status of 503")
    ready = stand_in.replies["/readyz"]
    stand_in.replies["/readyz"] = {"title": "The server is not ready", "status": 503, "detail": "Warming up."}
    page = opened()
    expect(page.locator("#server-status")).to_have_text("Warming up.")
    stand_in.replies["/readyz"] = ready
    expect(page.locator("#server-status")).to_have_text("Ready, 2 models")


def refuse(route):
    problem = {"title": "A key is needed", "status": 401, "detail": "Send one.", "request_id": "r"}
    route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))


def test_key_is_asked_for_and_kept_in_the_tab(opened, stand_in, provoked):
    provoked.add("status of 401")

    def guarded(reply, route, request):
        if request.headers.get("authorization") == "Bearer s3cret":
            route.fulfill(json=reply)
        else:
            refuse(route)

    for path in ("/v1/models", "/v1/environments"):
        stand_in.replies[path] = partial(guarded, stand_in.replies[path])
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type("wrong\n")
    expect(page.locator("#key-said")).to_have_text("That key was refused.")
    page.keyboard.type("s3cret")
    page.keyboard.press("Enter")
    expect(page.locator("#server-status")).to_have_text("Ready, 2 models")
    expect(page.locator("#key-panel")).to_be_hidden()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
    render_and_plan(page)
    for name, mention in {
        "curl": 'Bearer $WAYMARK_KEY"',
        "Python": "environment variable WAYMARK_KEY",
    }.items():
        page.locator("#plan-result").get_by_role("button", name=f"Copy as {name}").click()
        expect(page.locator("#copied")).to_contain_text(f"Copied as {name}")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert mention in copied and "s3cret" not in copied


def test_refusal_that_comes_late_does_not_forget_the_next_key(opened, stand_in, provoked):
    provoked.add("status of 401")
    late = []

    def guarded(route, request):
        sent = request.headers.get("authorization")
        if sent == "Bearer s3cret":
            route.fulfill(json={"environments": ENVIRONMENTS})
        elif sent is None:
            late.append(route)
        else:
            refuse(route)

    stand_in.replies |= {"/v1/models": lambda route, _: refuse(route), "/v1/environments": guarded}
    page = opened()
    expect(page.get_by_label("API key")).to_be_focused()
    eventually(page, lambda: len(late), 1)
    stand_in.replies["/v1/models"] = {"models": [PLANNER, WORLD]}
    page.keyboard.type("s3cret\n")
    expect(page.locator("#server-status")).to_have_text("Ready, 2 models")
    with page.expect_response("**/v1/environments"):
        refuse(late.pop())
    render_and_plan(page)
    expect(page.locator("#key-panel")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 1


def test_more_frames_seen_than_recorded_is_refused_in_words(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    page.get_by_label("Steps").first.fill("5")
    button(page, "Record and foresee").click()
    expect(page.get_by_role("alert")).to_contain_text("Record more steps than there are frames seen")
    assert stand_in.sent("/v1/clips") == []
