"""The address bar holds what is chosen: reloading and sharing bring the same again."""

from urllib.parse import parse_qs, urlsplit

from page_steps import button
from playwright.sync_api import expect


def chosen(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_plan_and_execution_are_made_again(opened, stand_in):
    page = opened(address="")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    button(page, "Scene with seed 1").click()
    page.get_by_label("Samples").fill("150")
    button(page, "Another seed").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    page.get_by_label("Servo").select_option("simulator")
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    assert chosen(page) == {
        "environment": "push", "scene": "1", "show": "plan.execute", "plan.samples": "150", "plan.seed": "8",
        "execute.servo": "simulator",
    }  # fmt: skip
    before = [stand_in.sent(path)[-1] for path in ("/v1/plans", "/v1/episodes")]
    stand_in.seen.clear()
    page.reload()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    assert [stand_in.sent(path) for path in ("/v1/plans", "/v1/episodes")] == [[body] for body in before]
    expect(page.locator("#start-note")).to_have_text("rendered, seed 1")
    expect(page.get_by_label("Samples")).to_have_value("150")


def test_tasks_of_dm_control_are_made_again(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    page.get_by_label("Clip, seed").fill("5")
    page.get_by_label("Steps").first.fill("20")
    page.locator("#clip").click()
    expect(page.locator("#clip-status")).to_contain_text("13 steps foreseen")
    page.get_by_label("Steps").last.fill("30")
    page.locator("#loop").click()
    expect(page.locator("#loop-status")).to_contain_text("Return")
    shared = page.url
    stand_in.seen.clear()
    page.goto(shared)
    expect(page.locator("#loop-status")).to_contain_text("Return")
    expect(page.locator("#clip-status")).to_contain_text("13 steps foreseen")
    (clip,), (episode,) = stand_in.sent("/v1/clips"), stand_in.sent("/v1/episodes")
    assert (clip["seed"], clip["steps"], episode["steps"]) == (5, 20, 30)
    assert page.url == shared


def test_another_environment_forgets_what_was_chosen_in_this_one(opened):
    page = opened(address="?environment=push&scene=1&show=plan&plan.seed=9&planner=planner")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    page.get_by_label("Environment").select_option("cartpole-balance")
    assert chosen(page) == {"environment": "cartpole-balance"}
    page.get_by_label("Environment").select_option("push")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.get_by_label("Seed", exact=True).first).to_have_value("7")


def test_marks_in_pictures_are_kept(opened):
    page = opened(address="?marks=keypoints")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.get_by_label("puck and paths")).not_to_be_checked()
    expect(page.locator("#strip circle.keypoint")).to_have_count(8)
    page.get_by_label("puck and paths").check()
    page.get_by_label("Environment").select_option("cartpole-balance")
    assert chosen(page) == {"environment": "cartpole-balance", "marks": "puck.keypoints"}
    page.get_by_label("keypoints").uncheck()
    assert chosen(page) == {"environment": "cartpole-balance"}


def test_address_of_nonsense_does_no_harm(opened, stand_in):
    page = opened(
        address="?environment=chess&planner=x&model=&scene=1&plan.samples=many&plan.iterations=999&show=plan.x.&a=b"
    )
    expect(page.get_by_label("Environment")).to_have_value("push")
    expect(page.get_by_label("Samples")).to_have_value("200")
    expect(page.get_by_label("Iterations")).to_have_accessible_description("A whole number from 1 to 20.")
    assert stand_in.sent("/v1/plans") == []


def test_uploads_are_not_in_the_address(opened):
    page = opened(address="")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    file = {"name": "s.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Upload start").set_input_files(file)
    expect(page.locator("#scene-notice")).to_contain_text("is no picture")
    assert chosen(page)["scene"] == "3"
    page.locator("#start-file").evaluate(
        """async (input) => {
          const blob = await new Promise((done) => document.querySelector("canvas").toBlob(done));
          const transfer = new DataTransfer();
          transfer.items.add(new File([blob], "s.png", { type: "image/png" }));
          input.files = transfer.files;
          input.dispatchEvent(new Event("change"));
        }"""
    )
    expect(page.locator("#start-note")).to_contain_text("s.png")
    expect(page.locator("#scene-status")).to_have_text("The pictures show the puck, the arm and a wall.")
    assert chosen(page) == {"environment": "push"}
