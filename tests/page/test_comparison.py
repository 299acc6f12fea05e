"""Plans side by side, ways over one another, and executions that fail, before a stand-in for the service."""

import re
from pathlib import Path

from page_steps import button, render_and_plan
from playwright.sync_api import expect

from envs.push.env import STRICT_SUCCESS, SUCCESS
from planner.low_levels.low_level import TrueServo

WEB = Path(__file__).parents[2] / "server/web"


def executed(page, words):
    button(page, "Execute").click()
    expect(page.locator("#execute-status")).to_contain_text(words)


def test_plans_of_two_seeds_stand_side_by_side(opened, stand_in):
    page = opened()
    render_and_plan(page)
    expect(page.locator("#compare")).to_be_hidden()
    button(page, "Another seed").click()
    first, second = page.locator("#compare-first"), page.locator("#compare-second")
    expect(first.locator("option:checked")).to_have_text("Plan 1: planner, seed 7")
    expect(second.locator("option:checked")).to_have_text("Plan 2: planner, seed 8")
    expect(page.locator("#compare-both polyline.way")).to_have_count(2)
    expect(first.locator("dd").nth(0)).to_have_text("1.8 px from the goal")
    # From (12, 50) by (20, 30), the subgoal that shows a puck, to (40, 10).
    expect(first.locator("dd").nth(1)).to_have_text("49.8 px in 10 steps")
    expect(first.locator(".strip canvas")).to_have_count(2)
    executed(page, "Success")
    assert stand_in.sent("/v1/episodes")[-1]["plan"] == "08" * 32
    expect(second.locator("dd").last).to_have_text("success, 0.08 from the goal")
    first.get_by_role("button", name="Execute this plan").click()
    expect(page.locator("#execute-hint")).to_contain_text("that planner planned with seed 7")
    expect(page.locator("#execute-status")).to_contain_text("Success")
    assert stand_in.sent("/v1/episodes")[-1]["plan"] == "9f" * 32
    expect(first.locator("dd").last).to_have_text("success, 0.08 from the goal")
    expect(page.get_by_label("Seed", exact=True).first).to_have_value("7")


def test_other_plans_can_be_chosen_and_another_scene_ends_the_comparison(opened):
    page = opened()
    render_and_plan(page)
    for seed in (8, 9):
        button(page, "Another seed").click()
        expect(page.locator("#compare-second option:checked")).to_contain_text(f"seed {seed}")
    page.get_by_role("combobox", name="The first").select_option(label="Plan 1: planner, seed 7")
    expect(page.locator("#compare-both canvas")).to_have_accessible_name(
        "Start with the ways of Plan 1 and Plan 3"
    )
    # The same plan again is no other one.
    button(page, "Plan").click()
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    expect(page.locator("#compare-first option")).to_have_count(3)
    button(page, "Scene with seed 1").click()
    expect(page.locator("#compare")).to_be_hidden()


def test_alternatives_of_one_search_stand_beside_the_plan(opened, stand_in):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    render_and_plan(page)
    button(page, "Alternatives").click()
    expect(page.locator("#compare-first option:checked")).to_have_text("Plan 1: planner, seed 7")
    second = page.locator("#compare-second")
    expect(second.locator("option")).to_have_text(
        ["Plan 1: planner, seed 7", *(f"Plan 1, alternative {k}: planner, seed 7" for k in (1, 2, 3))]
    )
    expect(second.locator("option:checked")).to_contain_text("alternative 1")
    expect(second.locator("dd").first).to_have_text("3.5 px from the goal")
    expect(page.locator("#compare-chart")).to_be_hidden()  # both have the same search
    second.get_by_role("button", name="Execute this plan").click()
    expect(page.locator("#execute-status")).to_contain_text("Success")
    assert stand_in.sent("/v1/episodes")[-1]["plan"] == "a0" * 32
    expect(page.locator("#plan-status")).to_contain_text("the last one 3.5 pixels from the goal")
    page.locator("#execute-result").get_by_role("button", name="Copy as Python").click()
    expect(page.locator("#copied")).to_contain_text("Copied as Python")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "alternatives=3" in copied and "plan=plan.response.alternatives[0].id" in copied


def test_planned_and_executed_path_are_in_one_picture(opened):
    page = opened()
    render_and_plan(page)
    executed(page, "Success")
    planned, driven = (page.locator(f"#execute-screens polyline.{kind}") for kind in ("path", "trail"))
    assert planned.get_attribute("points") == "12,50 20,30 40,10"
    page.get_by_role("slider", name="Step").fill("2")
    expect(driven).to_have_attribute("points", "12,50 17,42 22,34")


def test_distances_are_beside_subgoals_and_what_counts_as_success(opened):
    page = opened()
    render_and_plan(page)
    executed(page, "Success")
    chart = page.locator("#execute-chart")
    assert chart.locator(".level").count() == chart.locator(".mark").count() == 2
    for words in ("success: below 0.30", "strict: below 0.15", "0", "goal"):
        expect(chart.get_by_text(words, exact=True).first).to_be_visible()


def test_failure_looks_like_one_and_says_what_to_try(opened, stand_in):
    page = opened(address="?environment=push&scene=3&show=plan&execute.episode_seed=13")
    expect(page.locator("#plan-status")).to_contain_text("Planned")
    executed(
        page, "No success: the puck is 0.5 from its goal after 5 steps, 0.5 at the start, and 0.30 would do."
    )
    expect(page.locator("#execute-status")).to_have_class("status bad")
    expect(page.locator("#execute-advice")).to_contain_text(
        "All 5 steps were used; the last ones were after subgoal 0 of 2."
    )
    button(page, "True physics").click()
    expect(page.get_by_label("Servo")).to_have_value("simulator")
    expect(page.locator("#execute-status")).to_contain_text("No success")
    assert stand_in.sent("/v1/episodes")[-1]["servo"] == "simulator"
    expect(button(page, "True physics")).to_have_count(0)
    button(page, "Another plan").click()
    expect(page.locator("#compare-first dd").last).to_have_text("no success, 0.5 from the goal")
    expect(page.locator("#execute-advice")).to_be_hidden()


def test_plan_that_ends_far_from_the_goal_looks_like_a_failure(opened, stand_in):
    good = stand_in.replies["/v1/plans"]

    def far(route, request):
        fulfil = route.fulfill
        route.fulfill = lambda **reply: fulfil(
            **reply | {"body": reply["body"].replace('"cost": 1.8', '"cost": 9.5')}
        )
        good(route, request)

    stand_in.replies["/v1/plans"] = far
    page = opened()
    render_and_plan(page)
    expect(page.locator("#plan-status")).to_contain_text(
        "That is too far to count as reached. Try more samples"
    )
    expect(page.locator("#plan-status")).to_have_class("status bad")


def test_limits_on_the_page_are_those_of_the_planner_and_the_world():
    execute, pictures = ((WEB / name).read_text() for name in ("execute.js", "pictures.js"))
    assert f"[SUCCESS, STRICT_SUCCESS] = [{SUCCESS:g}, {STRICT_SUCCESS:g}]" in execute
    (radius,) = re.findall(r"SUBGOAL_RADIUS = ([\d.]+)", pictures)
    assert float(radius) == TrueServo.reach
