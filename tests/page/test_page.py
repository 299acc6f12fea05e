"""What the page shows of plans, episodes and clips, before a stand-in for the service."""

import ast
import re
import tarfile

from page_steps import button, expect_pixel, render_and_plan
from PIL import Image
from playwright.sync_api import expect
from service_stand_in import CONTROLLER, ENVIRONMENTS, PLAN, PLANNER, QUEUED, WORLD, events, picture


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
    # The plan is not the cheapest candidate: both have names, and one number wherever they stand.
    expect(page.locator("#plan-chart .legend li")).to_have_text(
        ["mean of all 4.5", "cheapest candidate 1.5", "chosen plan 1.8"]
    )
    expect(page.locator("#plan-status")).to_have_text(
        "Planned in 202 ms: 2 subgoals, the last one 1.8 pixels from the goal."
    )
    expect(page.locator("#plan-facts div").nth(0)).to_have_text("chosen plan1.8 px")
    expect(page.locator("#plan-facts div").nth(1)).to_have_text("cheapest candidate1.5 px")
    captions = page.locator("#strip figcaption").all_inner_texts()
    assert captions == ["Start", "step 5", "step 10 · blurred", "Goal"]
    expect_pixel(page, "#strip li:nth-child(3) canvas", [0, 200, 90])
    # Pucks of start, goal and the one subgoal that shows one.
    expect(page.locator("#strip circle.puck")).to_have_count(3)
    page.get_by_label("puck and paths").uncheck()
    expect(page.locator("circle.puck, polyline.path")).to_have_count(0)


def test_pictures_that_were_corrected_are_shown_as_the_model_sees_them(opened, stand_in):
    tone = {"brightest": [203.0, 203.0, 190.4], "becomes": [254.0] * 3, "exponent": [1.0] * 3}
    found = {"tone": tone, "pitch_degrees": 2.9, "yaw_degrees": -0.01, "object_colour": [255.0, 30.0, 30.0]}
    seen = {"start": picture(10, 20, 30), "goal": picture(40, 50, 60)}
    made = PLAN | {"calibration": found, "seen": seen}
    stand_in.replies["/v1/plans"] = events(("queued", QUEUED), ("result", made))
    page = opened()
    render_and_plan(page)
    captions = page.locator("#strip figcaption").all_inner_texts()
    assert captions[0] == "Start, as the model sees it" and captions[-1] == "Goal, as the model sees it"
    expect_pixel(page, "#strip li:first-child canvas", [10, 20, 30])
    expect_pixel(page, "#strip li:last-child canvas", [40, 50, 60])
    expect(page.locator("#plan-facts")).to_contain_text(
        "correctedlight (white was 203, 203, 190); camera turned 2.9° up; colour of the puck (255, 30, 30)"
    )


def test_doubts_about_a_plan_are_said_with_it(opened, stand_in):
    doubt = "The goal picture differs by 0.50 from what the model knows; answers are less sure from 0.45 on."
    stand_in.replies["/v1/plans"] = events(("queued", QUEUED), ("result", PLAN | {"warnings": [doubt]}))
    page = opened()
    render_and_plan(page)
    expect(page.locator("#plan-status")).to_contain_text(f"1.8 pixels from the goal. {doubt}")
    expect(page.locator("#plan-status")).to_have_class(re.compile("bad"))


def test_keyframes_can_be_chosen_where_a_model_leaves_the_choice(opened, stand_in):
    page = opened()
    expect(page.get_by_label("Keyframes")).to_be_hidden()  # always two
    free = PLANNER["limits"] | {"keyframes": {"min": 1, "max": 2}}
    models = [PLANNER | {"chooses_keyframes": True, "limits": free}, WORLD]
    stand_in.replies["/v1/models"] = {"models": models}
    page = opened()
    choice = page.get_by_label("Keyframes")
    expect(choice.locator("option")).to_have_text(["2", "as few as it takes", "1"])
    choice.select_option("1")
    expect(page.locator("#plan-work")).to_contain_text("200 samples × 1 keyframes × 2 iterations")
    choice.select_option("auto")
    expect(page.locator("#plan-work")).to_contain_text("200 samples × 2 keyframes × 2 iterations")
    render_and_plan(page)
    assert stand_in.sent("/v1/plans")[-1]["keyframes"] == "auto"
    captions = page.locator("#strip figcaption").all_inner_texts()
    assert captions == ["Start", "step 5", "Goal"]
    assert "plan.keyframes=auto" in page.url
    choice.select_option("")
    button(page, "Plan").click()
    expect(page.locator("#strip li")).to_have_count(4)
    assert "keyframes" not in stand_in.sent("/v1/plans")[-1]


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
    expect_pixel(page, "#execute-screens figure:nth-child(1) canvas", [20, 100, 0])
    expect_pixel(page, "#execute-screens figure:nth-child(2) canvas", [0, 200, 0])
    expect(page.locator("#execute-screens")).to_contain_text("Pursued: subgoal 0")
    scrubber.press("ArrowRight")
    expect(page.locator("#execute-screens")).to_contain_text("Pursued: goal")
    expect(page.locator("#execute-chart .legend")).to_contain_text("distance 0.125")
    scrubber.press("Home")
    button(page, "Play").click()
    expect(scrubber).to_have_value("5")
    expect(button(page, "Play")).to_be_visible()


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
    expect_pixel(page, recorded, [0, 0, 10])
    expect_pixel(page, imagined, [0, 2, 0])
    # Arriving at frame 10 is worth the reward of action 9; predicted is one more.
    expect(page.locator("#clip-chart .legend")).to_have_text("true 0.9predicted 1.9")
    page.get_by_label("keypoints").check()
    expect(page.locator("#clip-screens circle.keypoint")).to_have_count(4)


def test_control_by_reward(opened, stand_in):
    page = opened()
    page.get_by_label("Environment").select_option("cartpole-balance")
    button(page, "Execute").click()
    expect(page.locator("#loop-status")).to_have_text(
        "Return 1.5 in 5 steps, 0.3 per step, 3 times what random actions earn."
    )
    (body,) = stand_in.sent("/v1/episodes")
    assert (body["environment"], body["model"], body["steps"]) == ("cartpole-balance", "world", 100)
    assert (body["seed"], body["episode_seed"]) == (3, 0)  # nothing is drawn anew after a reload


def test_a_control_model_acts_and_world_models_foresee(opened, stand_in):
    stand_in.replies["/v1/models"] = {"models": [PLANNER, WORLD, CONTROLLER]}
    push, cartpole = ENVIRONMENTS
    known = [push, cartpole | {"controllers": ["controller", "world"]}]
    stand_in.replies["/v1/environments"] = {"environments": known}
    page = opened(address="?environment=cartpole-balance")
    button(page, "Execute").click()
    expect(page.locator("#loop-status")).to_contain_text("Return 1.5")
    (body,) = stand_in.sent("/v1/episodes")
    assert body["model"] == "controller" and not stand_in.sent("/v1/rewards")
    expect(page.locator("#loop-chart .legend li")).to_have_text(["true 0.5"])
    # Backwards from the last forecast: .4 + .5 x 2, .3 + .5 x 1.4, ...
    expect(page.locator("#loop-value-chart svg")).to_have_accessible_name(
        "Value, forecast and what came; last values: forecast 2, what came 2"
    )
    page.get_by_label("Steps").first.fill("20")
    button(page, "Record and foresee").click()
    expect(page.locator("#clip-status")).to_contain_text("13 steps foreseen")
    assert {sent["model"] for sent in stand_in.sent("/v1/rewards")} == {"world"}
    stand_in.replies["/v1/environments"] = {
        "environments": [push, cartpole | {"controllers": ["controller"]}]
    }
    page = opened(address="?environment=cartpole-balance")
    expect(page.locator("#loop-title")).to_be_visible()
    expect(page.locator("#clip-title")).to_be_hidden()


def test_true_and_predicted_reward_stand_beside_what_random_and_simulator_earn(opened, stand_in):
    page = opened(address="?environment=cartpole-balance")
    expect(page.locator("#loop-hint")).to_contain_text("An action is held for 4 control steps")
    expect(page.locator("#loop-hint")).to_contain_text("250 steps are an episode of 1000 control steps")
    button(page, "Execute").click()
    expect(page.locator("#loop-status")).to_contain_text("Return 1.5")
    # Three steps are looked ahead from the start, then the two that are left from where the robot was.
    asked = stand_in.sent("/v1/rewards")
    assert [(len(body["frames"]), len(body["actions"][0])) for body in asked] == [(1, 3), (4, 2)]
    expect(page.locator("#loop-chart .legend li")).to_have_text(
        ["true 0.5", "predicted, 3 steps at a time 1"]
    )
    assert page.locator("#loop-chart .level").count() == 2
    expect(page.locator("#loop-chart svg")).to_have_accessible_name(
        "Reward, true and predicted; last values: true 0.5, predicted, 3 steps at a time 1; "
        "line: random, mean: 0.1; line: simulator, mean: 1"
    )


def test_text_to_copy_is_shown_where_there_is_no_clipboard(opened):
    page = opened()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    render_and_plan(page)
    page.locator("#plan-result").get_by_role("button", name="Copy as Python").click()
    text = page.get_by_role("textbox", name="Copy this")
    expect(text).to_be_focused()
    ast.parse(text.input_value())
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_film_is_an_archive_of_pictures_where_none_can_be_recorded(opened):
    page = opened()
    page.evaluate("delete globalThis.MediaRecorder")
    render_and_plan(page)
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    with page.expect_download() as download:
        button(page, "Save film").click()
    assert download.value.suggested_filename.endswith(".tar")
    with tarfile.open(download.value.path()) as archive:
        assert archive.getnames() == [f"frame-000{step}.png" for step in range(6)]
        with Image.open(archive.extractfile("frame-0003.png")) as frame:
            assert frame.getpixel((0, 0)) == (30, 100, 0)
