"""What the page does with what the service says, before a stand-in for it."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from service_stand_in import ITERATIONS, events


def png(colour=(10, 20, 30), size=(64, 64), format="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format)
    return buffer.getvalue()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def render_and_plan(page):
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 3")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned in 202 ms")


def pixel(page, selector):
    """The colour in the corner of a canvas: what is really on the screen."""
    return page.locator(selector).evaluate(
        "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, 1, 1).data.slice(0, 3))"
    )


def test_plan_shows_costs_and_subgoals(opened, stand_in):
    page = opened()
    render_and_plan(page)
    (body,) = stand_in.sent("/v1/plans")
    assert (body["model"], body["samples"], body["iterations"], body["seed"]) == ("planner", 200, 2, 7)
    # No cost is known before the second iteration: a line of one point.
    best = page.locator("#plan-chart .line.first").get_attribute("d")
    assert best.count("M") == 1 and "L" not in best
    assert page.locator("#plan-chart .line.second").get_attribute("d").count("L") == 1
    expect(page.locator("#spread-chart .legend")).to_have_text("σ 2")
    captions = page.locator("#strip figcaption").all_inner_texts()
    assert captions == ["Start", "step 5", "step 10 · blurred", "Goal"]
    assert pixel(page, "#strip li:nth-child(3) canvas") == [0, 200, 90]
    # Pucks of start, goal and the one subgoal that shows one.
    expect(page.locator("#strip circle.puck")).to_have_count(3)
    page.get_by_label("puck", exact=True).uncheck()
    expect(page.locator("circle.puck, polyline.path")).to_have_count(0)


def test_keypoints_are_asked_for_once_and_drawn(opened, stand_in):
    page = opened()
    render_and_plan(page)
    page.get_by_label("keypoints").check()
    expect(page.locator("#strip circle.keypoint")).to_have_count(8)
    colours = {mark.get_attribute("fill") for mark in page.locator("#strip circle.keypoint").all()}
    assert len(colours) == 2
    frames = [frame for body in stand_in.sent("/v1/keypoints") for frame in body["frames"]]
    assert len(frames) == len(set(frames)) == 4


def test_execution_has_one_scrubber_for_executed_and_pursued(opened, stand_in):
    page = opened()
    expect(button(page, "Execute")).to_be_disabled()
    render_and_plan(page)
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text(
        "Success: the puck is 0.08 from its goal after 5 steps"
    )
    (body,) = stand_in.sent("/v1/episodes")
    assert (body["seed"], body["plan"], body["servo"], body["model"]) == (3, "9f" * 32, "learned", "world")
    scrubber = page.get_by_role("slider", name="Step")
    scrubber.fill("2")
    assert pixel(page, "#execute-screens figure:nth-child(1) canvas") == [20, 100, 0]
    assert pixel(page, "#execute-screens figure:nth-child(2) canvas") == [0, 200, 0]
    expect(page.locator("#execute-screens")).to_contain_text("Pursued: subgoal 0")
    scrubber.press("ArrowRight")
    expect(page.locator("#execute-screens")).to_contain_text("Pursued: goal")
    expect(page.locator("#execute-chart .legend")).to_contain_text("distance 0.125")
    scrubber.press("Home")
    button(page, "Play").click()
    expect(scrubber).to_have_value("5")
    expect(button(page, "Play")).to_be_visible()


def test_upload_of_the_right_size_is_sent_as_it_is(opened, stand_in):
    page = opened()
    start, goal = png((1, 2, 3)), png((4, 5, 6))
    page.get_by_label("Upload start").set_input_files(
        {"name": "s.png", "mimeType": "image/png", "buffer": start}
    )
    page.get_by_label("Upload goal").set_input_files(
        {"name": "g.png", "mimeType": "image/png", "buffer": goal}
    )
    expect(page.locator("#goal-note")).to_have_text("g.png, as it is")
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    (body,) = stand_in.sent("/v1/plans")
    assert [base64.b64decode(body[name]) for name in ("start", "goal")] == [start, goal]
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    (episode,) = stand_in.sent("/v1/episodes")
    assert "seed" not in episode and episode["start"] == body["start"]


@pytest.mark.parametrize("way", ["choose", "drop"])
def test_upload_of_another_size_is_scaled_and_says_so(opened, stand_in, way):
    page = opened()
    file = png((200, 100, 50), (300, 150), "JPEG")
    if way == "choose":
        upload = {"name": "wide.jpg", "mimeType": "image/jpeg", "buffer": file}
        page.get_by_label("Upload start").set_input_files(upload)
    else:
        transfer = page.evaluate_handle(
            """(text) => {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], "wide.jpg", { type: "image/jpeg" }));
                return transfer;
            }""",
            base64.b64encode(file).decode(),
        )
        page.locator(".well").first.dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator("#start-note")).to_have_text(
        "wide.jpg: 300 × 150 pixels, cut to the square in the middle, "
        "scaled here to 64 × 64, the model's size"
    )
    colour = np.array(pixel(page, ".well:first-child canvas"))
    assert np.abs(colour - [200, 100, 50]).max() <= 4
    button(page, "Plan").click()
    expect(page.locator("#plan-notice")).to_contain_text("Choose a goal picture first")
    assert stand_in.sent("/v1/plans") == []


def test_file_that_is_no_picture_is_refused_in_words(opened):
    page = opened()
    upload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.get_by_label("Upload goal").set_input_files(upload)
    expect(page.locator("#scene-notice")).to_contain_text(
        "notes.txt is no picture that this browser can read"
    )


def test_gallery_and_another_scene(opened, stand_in):
    page = opened()
    button(page, "Scene with seed 1").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 1")
    button(page, "Another").click()
    seed = stand_in.sent("/v1/scenes")[-1]["seed"]
    expect(page.locator("#goal-note")).to_have_text(f"rendered, seed {seed}")


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
    button(page, "Plan").click()
    expect(page.get_by_role("alert")).to_contain_text("The server is busy 8 requests are waiting.")
    expect(button(page, "Try again in 1 s")).to_be_visible()
    stand_in.replies["/v1/plans"] = good
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
    button(page, "Plan").click()
    page.locator("#plan-cancel").click()
    expect(page.locator("#plan-status")).to_have_text("Cancelled.")
    expect(button(page, "Plan")).to_be_enabled()
    assert failed == ["net::ERR_ABORTED"]


def test_key_is_asked_for_and_kept_in_the_tab(opened, stand_in, provoked):
    provoked.add("status of 401")
    models = stand_in.replies["/v1/models"]

    def guarded(route, request):
        if request.headers.get("authorization") == "Bearer s3cret":
            route.fulfill(json=models)
        else:
            problem = {"title": "A key is needed", "status": 401, "detail": "Send one.", "request_id": "r"}
            route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))

    stand_in.replies["/v1/models"] = guarded
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type("s3cret")
    page.keyboard.press("Enter")
    expect(page.locator("#server-status")).to_have_text("Ready, 2 models")
    expect(page.locator("#key-panel")).to_be_hidden()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
    render_and_plan(page)
    for name, mention in {"curl": 'Bearer $WAYMARK_KEY"', "Python": 'os.environ["WAYMARK_KEY"]'}.items():
        page.locator("#plan-result").get_by_role("button", name=f"Copy as {name}").click()
        expect(page.locator("#copied")).to_contain_text(f"Copied as {name}")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert mention in copied and "s3cret" not in copied


def test_only_the_keyboard_is_needed(opened, stand_in):
    page = opened()
    expect(page.locator("#gallery button")).to_have_count(2)

    def tab_to(name):
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            assert focused.evaluate("(node) => getComputedStyle(node).outlineStyle") != "none" or (
                focused.evaluate("(node) => node.type") == "file"  # its label is outlined
            )
            if (
                focused.evaluate("(node) => node.textContent || node.labels?.[0]?.textContent || ''").strip()
                == name
            ):
                return
        raise AssertionError(f"no way to {name} by keyboard")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the work")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to("Render")
    page.keyboard.press("Enter")
    expect(page.locator("#start-note")).to_have_text("rendered, seed 3")
    tab_to("Plan")
    page.keyboard.press("Enter")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(button(page, "Plan")).to_be_focused()
    tab_to("Execute")
    page.keyboard.press("Enter")
    expect(page.locator("#execute-status")).to_contain_text("Success")
    tab_to("Play")
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    expect(page.get_by_role("slider", name="Step")).to_have_value("0")


def test_clip_is_foreseen_under_one_scrubber(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    page.get_by_label("Steps").first.fill("20")
    button(page, "Record and foresee").click()
    expect(page.locator("#clip-status")).to_have_text(
        "13 steps foreseen from 8 frames: predicted return 29.9, true 16.9; mean absolute error 1 per step."
    )
    (reward,), (future,) = stand_in.sent("/v1/rewards"), stand_in.sent("/v1/predictions")
    assert (reward["task"], len(reward["frames"]), len(reward["past_actions"])) == ("cartpole-balance", 8, 7)
    assert reward["actions"] == [future["actions"]] and future["actions"][0] == [0.07]
    scrubber = page.get_by_role("slider", name="Step").first
    recorded, imagined = (f"#clip-screens figure:nth-child({column}) canvas" for column in (1, 2))
    scrubber.fill("7")
    expect(page.locator("#clip-screens")).to_contain_text("Seen by the model")
    scrubber.fill("10")
    assert pixel(page, recorded) == [0, 0, 10] and pixel(page, imagined) == [0, 2, 0]
    # Arriving at frame 10 is worth the reward of action 9; predicted is one more.
    expect(page.locator("#clip-chart .legend")).to_have_text("true 0.9predicted 1.9")
    page.get_by_label("keypoints").check()
    expect(page.locator("#clip-screens circle.keypoint")).to_have_count(4)


def test_more_frames_seen_than_recorded_is_refused_in_words(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    page.get_by_label("Steps").first.fill("5")
    button(page, "Record and foresee").click()
    expect(page.get_by_role("alert")).to_contain_text("Record more steps than there are frames seen")
    assert stand_in.sent("/v1/clips") == []


def test_control_by_reward(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    button(page, "Execute").click()
    expect(page.locator("#loop-status")).to_have_text("Return 1.5 in 5 steps, 0.3 per step.")
    (body,) = stand_in.sent("/v1/episodes")
    assert (body["objective"], body["model"], body["steps"]) == ("reward", "world", 100)
