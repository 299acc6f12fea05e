"""Where start and goal come from, before a stand-in for the service."""

import base64
import io

import numpy as np
import pytest
from page_steps import button, pixel
from PIL import Image
from playwright.sync_api import expect


def png(colour=(10, 20, 30), size=(64, 64), format="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def ready(opened):
    """The page once it knows the model: files may be given to it even before, when they go nowhere."""
    page = opened()
    expect(page.locator("#server-status")).to_have_text("Ready, 2 models")
    return page


def test_upload_of_the_right_size_is_sent_as_it_is(ready, stand_in):
    page = ready
    start, goal = png((1, 2, 3)), png((4, 5, 6))
    page.get_by_label("Upload start").set_input_files(
        {"name": "s.png", "mimeType": "image/png", "buffer": start}
    )
    page.get_by_label("Upload goal").set_input_files(
        {"name": "g.png", "mimeType": "image/png", "buffer": goal}
    )
    # Both are read at the same time.
    expect(page.locator("#start-note")).to_have_text("s.png, as it is")
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
def test_upload_of_another_size_is_scaled_and_says_so(ready, stand_in, way):
    page = ready
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
    expect(page.locator(".well:first-child figure.empty")).to_have_count(0)
    colour = np.array(pixel(page, ".well:first-child canvas"))
    assert np.abs(colour - [200, 100, 50]).max() <= 4
    button(page, "Plan").click()
    expect(page.locator("#plan-notice")).to_contain_text("Choose a goal picture first")
    assert stand_in.sent("/v1/plans") == []


def test_file_that_is_no_picture_is_refused_in_words(ready):
    page = ready
    upload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.get_by_label("Upload goal").set_input_files(upload)
    expect(page.locator("#scene-notice")).to_contain_text(
        "notes.txt is no picture that this browser can read"
    )


@pytest.mark.parametrize("name", ["start", "goal"])
def test_picture_that_shows_no_scene_is_refused_before_anything_is_planned(opened, stand_in, provoked, name):
    provoked.add("status of 422")
    scenes = stand_in.replies["/v1/scenes"]
    words = f"The {name} picture shows no wall."
    problem = {
        "type": "urn:waymark:problem:unreadable-scene",
        "title": "The pictures show no scene that can be set up",
        "status": 422,
        "detail": words,
        "errors": [{"field": name, "message": words}],
    }
    stand_in.replies["/v1/scenes"] = lambda route, request: (
        route.fulfill(status=422, content_type="application/problem+json", json=problem)
        if "start" in request.post_data_json
        else scenes(route, request)
    )
    page = opened(address="")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    photo = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": png(size=(300, 200), format="JPEG")}
    page.get_by_label(f"Upload {name}").set_input_files(photo)
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("alert")).to_contain_text("JPEG blurs thin walls away; send PNG.")
    expect(page.locator("figure.refused figcaption")).to_have_text(name.capitalize())
    expect(page.locator("#plan-result")).to_be_hidden()
    expect(page.locator("#plan-status")).to_contain_text("Not planned: a picture was refused.")
    assert len(stand_in.sent("/v1/plans")) == 1
    button(page, "Render").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 3")
    expect(page.locator("figure.refused")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_gallery_and_another_scene(opened):
    page = opened()
    button(page, "Scene with seed 1").click()
    expect(page.locator("#start-note")).to_have_text("rendered, seed 1")
    with page.expect_request("**/v1/scenes") as asked:
        button(page, "Another").click()
    seed = asked.value.post_data_json["seed"]
    expect(page.locator("#goal-note")).to_have_text(f"rendered, seed {seed}")
