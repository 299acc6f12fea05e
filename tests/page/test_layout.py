"""How the page looks to eyes and to screen readers, before a stand-in for the service."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

ENVIRONMENTS = ["push", "cartpole-balance"]

# Text of at least 24 px, or 18.66 px in bold, would do with 3:1; there is none here that needs it.
CONTRASTS = """
() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (share) => share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  const light = (channel) => linear(channel / 255);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility()) continue;
    if (node.closest("noscript, :disabled, [aria-disabled=true]")) continue;
    const style = getComputedStyle(node);
    const colour = node instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [luminance(numbers(colour)), luminance(behind(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName} ${node.className} ${node.textContent.slice(0, 30)} ${ratio}`);
  }
  return low;
}
"""
NAMELESS = """
() => [...document.querySelectorAll("button, input, select, textarea, meter, [role=img], canvas, a")]
  .filter((node) => node.checkVisibility() && !node.closest("[aria-hidden=true]"))
  .filter((node) => node.getAttribute("aria-hidden") !== "true")
  .filter((node) => !(node.ariaLabel || node.labels?.length || node.textContent.trim()))
  .map((node) => node.outerHTML)
"""
REPEATED_IDS = """
() => {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}
"""
UNKNOWN_REFERENCES = """
() => [...document.querySelectorAll("[aria-labelledby], [aria-describedby], [for]")]
  .flatMap((node) => ["aria-labelledby", "aria-describedby", "for"].map((name) => node.getAttribute(name)))
  .filter((id) => id && !document.getElementById(id))
"""


def everything(page, environment):
    """Fills the page with all it can show."""
    expect(page.locator("#server-status")).to_contain_text("Ready")
    page.get_by_label("Environment").select_option(environment)
    if environment == "push":
        page.get_by_role("button", name="Scene with seed 1").click()
        page.locator("#plan").click()
        expect(page.locator("#plan-status")).to_contain_text("Planned")
        page.locator("#execute").click()
        expect(page.locator("#execute-status")).to_contain_text("Success")
    else:
        page.locator("#clip").click()
        expect(page.locator("#clip-status")).to_contain_text("foreseen")
        page.locator("#loop").click()
        expect(page.locator("#loop-status")).to_contain_text("Return")
    page.get_by_label("keypoints").check()
    expect(page.locator("circle.keypoint").first).to_be_attached()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_narrow_screen_needs_no_sideways_scrolling(opened, environment):
    page = opened(width=320)
    everything(page, environment)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    outside = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, label, p, h2, figure")]
          .filter((node) => node.checkVisibility() && !node.closest(".strip, .gallery, .skip"))
          .filter((node) => node.getBoundingClientRect().right > 320)
          .map((node) => node.outerHTML.slice(0, 80))"""
    )
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_can_be_read_and_named(opened, environment, scheme):
    # Transitions would be caught half-way, and one that has begun goes on.
    page = opened(color_scheme=scheme, reduced_motion="reduce")
    everything(page, environment)
    for check in (CONTRASTS, NAMELESS, REPEATED_IDS, UNKNOWN_REFERENCES):
        assert page.evaluate(check) == []
    levels = page.locator("h1:visible, h2:visible, h3:visible").evaluate_all(
        "(nodes) => nodes.map((node) => Number(node.tagName[1]))"
    )
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


def test_words_for_screen_readers(opened):
    page = opened()
    everything(page, "push")
    expect(page.locator("#plan-chart svg")).to_have_accessible_name(
        "Cost of the search; last values: mean of all 4.5, cheapest candidate 1.5, chosen plan 1.8"
    )
    expect(page.locator("#strip canvas").nth(1)).to_have_accessible_name("Subgoal 0, step 5")
    scrubber = page.get_by_role("slider", name="Step")
    scrubber.fill("3")
    assert scrubber.get_attribute("aria-valuetext") == "step 3 of 5"
    assert page.get_by_role("status").filter(has_text="Planned").count() == 1
