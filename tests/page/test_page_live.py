"""The page before the real service with weights that ship: what a person does, from pictures to a film."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import imageio_ffmpeg
import numpy as np
import pytest
from page_steps import eventually
from PIL import Image
from playwright.sync_api import expect
from prometheus_client.parser import text_string_to_metric_families

from server.local import running_server

pytestmark = pytest.mark.slow
SCREENS = Path("results/page")
LONG = 60_000  # ms, of which there are many on a busy machine


# What comes and goes is noted by the page itself: whoever asks from outside may be too late.
NOTE_CHANGES = """() => {
  globalThis.seen = [];
  const text = (id) => document.getElementById(id).textContent;
  const count = (selector) => document.querySelectorAll(selector).length;
  const note = () => seen.push({
    planning: text("plan-status"),
    facts: text("plan-facts"),
    dots: count("#plan-chart circle.dot.second"),
    empty: count("#strip figure.empty"),
    executing: text("execute-status"),
  });
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(note).observe(document.getElementById("push"), all);
}"""


@pytest.fixture(scope="module")
def service_url() -> Iterator[str]:
    with running_server("keyin-push,struct-vrnn-push,struct-vrnn-cartpole", threads=1) as url:
        yield url


@pytest.fixture
def visit(new_page, service_url):
    """``visit(width=1440)``: the page, ready."""

    def visit(width=1440):
        page = new_page(width, permissions=["clipboard-read", "clipboard-write"])
        page.goto(service_url)
        expect(page.locator("#server-status")).to_have_text("Ready, 3 models", timeout=LONG)
        return page

    return visit


def scene(url, seed):
    reply = httpx2.post(f"{url}/v1/scenes", json={"environment": "push", "seed": seed}).json()
    return {name: base64.b64decode(reply[name]) for name in ("start", "goal")}


def png(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def upload(page, name, content):
    file = {"name": f"{name}.png", "mimeType": "image/png", "buffer": content}
    page.get_by_label(f"Upload {name}").set_input_files(file)
    expect(page.locator(f"#{name}-note")).to_have_text(f"{name}.png, as it is")


def saved(page, button):
    with page.expect_download(timeout=LONG) as download:
        page.locator(button).click()
    return download.value.path(), download.value.suggested_filename


def copied(page, result, name):
    page.locator(result).get_by_role("button", name=f"Copy as {name}").click()
    expect(page.locator("#copied")).to_contain_text(f"Copied as {name}")
    return page.evaluate("navigator.clipboard.readText()")


def ended(url, **labels):
    """How many jobs of that kind and outcome the service has had."""
    families = text_string_to_metric_families(httpx2.get(f"{url}/metrics").text)
    samples = [
        sample for family in families for sample in family.samples if sample.name == "waymark_jobs_total"
    ]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def run_python(text):
    """What the copied text prints."""
    run = subprocess.run([sys.executable, "-"], input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def film(path):
    """The pictures of a film of two pictures side by side, four times their size."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(decoded, np.uint8).reshape(-1, 256, 512, 3)


def start_plan(page, **settings):
    """With the longest deadline: a search that is cut has another digest every time."""
    for name, value in {"deadline_ms": LONG, **settings}.items():
        page.locator("#plan-form").locator(f"[name={name}]").fill(str(value))
    page.locator("#plan").click()


def plan(page, **settings):
    start_plan(page, **settings)
    expect(page.locator("#plan-status")).to_contain_text("Planned in", timeout=LONG)


@pytest.mark.parametrize("width", [1440, 320])
def test_from_uploaded_pictures_to_a_film(visit, service_url, width):
    page = visit(width)
    for name, content in scene(service_url, 3).items():
        upload(page, name, content)
    page.evaluate(NOTE_CHANGES)
    start_plan(page, iterations=30)
    expect(page.locator("#plan-status")).to_contain_text("Planned in", timeout=LONG)
    expect(page.locator("#plan-chart circle.dot.second")).to_have_count(30)
    # The curve and the subgoals were there before the plan was.
    searching = [then for then in page.evaluate("seen") if "Searching" in then["planning"]]
    assert any(re.search(r"iteration\d+ of 30", then["facts"]) for then in searching)
    assert any(1 <= then["dots"] < 30 and not then["empty"] for then in searching)
    page.locator("#execute").click()
    expect(page.locator("#execute-status")).to_contain_text("the puck is", timeout=LONG)
    expect(page.locator("#execute-status")).to_contain_text("Success")
    assert any("Driving" in then["executing"] for then in page.evaluate("seen"))
    page.get_by_label("keypoints").check()
    expect(page.locator("#execute-screens circle.keypoint").first).to_be_attached()
    scrubber = page.get_by_role("slider", name="Step")
    scrubber.fill("10")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"push-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width

    path, name = saved(page, "#execute-json")
    episode = json.loads(path.read_text())
    assert name == f"episode-{episode['digest'][:12]}.json" and episode["success"]
    assert int(scrubber.get_attribute("max")) == episode["steps"] == len(episode["frames"]) - 1
    path, name = saved(page, "#execute-film")
    # Executed and pursued side by side; an encoder may leave out pictures that are the same.
    pictures = film(path).astype(int)
    assert name.endswith(".webm") and episode["steps"] // 2 <= len(pictures)
    assert np.abs(pictures[0, :, :256] - pictures[-1, :, :256]).max() > 50


def test_copied_commands_bring_the_same_plan(visit):
    page = visit()
    page.get_by_role("button", name="Scene with seed 5").click()
    plan(page, seed=11)
    digest = json.loads(saved(page, "#plan-json")[0].read_text())["digest"]
    assert digest in run_python(copied(page, "#plan-result", "Python"))
    page.locator("#execute").click()
    expect(page.locator("#execute-status")).to_contain_text("the puck is", timeout=LONG)
    episode = json.loads(saved(page, "#execute-json")[0].read_text())
    assert episode["digest"] in run_python(copied(page, "#execute-result", "Python"))
    command = copied(page, "#plan-result", "curl")
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    run = subprocess.run(["bash"], input=command, capture_output=True, text=True)
    assert json.loads(run.stdout)["digest"] == digest, run.stderr


def test_rewards_and_pictures_are_foreseen(visit):
    page = visit()
    page.get_by_label("Environment").select_option("cartpole-balance")
    page.get_by_label("keypoints").check()
    page.locator("#clip").click()
    expect(page.locator("#clip-status")).to_contain_text("41 steps foreseen from 8 frames", timeout=LONG)
    page.locator("#loop-form [name=steps]").fill("20")
    page.locator("#loop").click()
    expect(page.locator("#loop-status")).to_contain_text("in 20 steps", timeout=LONG)
    page.get_by_role("slider", name="Step").first.fill("30")
    expect(page.locator("#clip-screens circle.keypoint").first).to_be_attached()
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "cartpole-1440.png", full_page=True)
    rewards = json.loads(saved(page, "#clip-json")[0].read_text())
    assert page.locator("#clip-chart path.line.first").get_attribute("d").count("L") == 40
    episode = json.loads(saved(page, "#loop-json")[0].read_text())
    assert rewards["digest"] in run_python(copied(page, "#clip-result", "Python"))
    assert len(episode["rewards"]) == 20
    assert "steps" in run_python(copied(page, "#loop-result", "Python"))


def test_goal_without_a_puck_is_refused_in_words(visit, service_url, provoked):
    provoked.add("status of 422")
    page = visit()
    pictures = scene(service_url, 4)
    goal = np.array(Image.open(io.BytesIO(pictures["goal"])).convert("RGB"))
    red, green, blue = goal.astype(int).transpose(2, 0, 1)
    goal[np.minimum(red, blue) > green + 20] = goal[0, 0]  # the table, where the magenta puck was
    upload(page, "start", pictures["start"])
    upload(page, "goal", png(goal))
    scene_notice, plan_notice = page.locator("#scene-notice"), page.locator("#plan-notice")
    expect(scene_notice).to_contain_text("The goal picture shows no puck", timeout=LONG)
    page.locator("#plan").click()
    expect(plan_notice).to_contain_text("No puck was found in the goal picture", timeout=LONG)


def test_picture_of_nothing_known_is_refused_in_words(visit, service_url, provoked):
    provoked.add("status of 422")
    page = visit()
    upload(page, "start", scene(service_url, 4)["start"])
    upload(page, "goal", png(np.full((64, 64, 3), 90, np.uint8)))
    page.locator("#plan").click()
    expect(page.locator("#plan-notice")).to_contain_text("never seen", timeout=LONG)


def test_jpeg_whose_wall_is_lost_is_refused_at_once(visit, service_url, provoked):
    provoked.add("status of 422")
    page = visit()
    pictures = scene(service_url, 3)
    blurred = io.BytesIO()
    Image.open(io.BytesIO(pictures["start"])).save(blurred, "JPEG", quality=75)
    upload(page, "goal", pictures["goal"])
    file = {"name": "start.jpg", "mimeType": "image/jpeg", "buffer": blurred.getvalue()}
    page.get_by_label("Upload start").set_input_files(file)
    expect(page.get_by_role("alert")).to_contain_text("The start picture shows no wall.", timeout=LONG)


def test_cancelled_search_stops_on_the_server(visit, service_url):
    page = visit()
    page.get_by_role("button", name="Scene with seed 2").click()
    start_plan(page, iterations=90)
    expect(page.locator("#plan-facts")).to_contain_text("of 90", timeout=LONG)
    page.locator("#plan-cancel").click()
    expect(page.locator("#plan-status")).to_have_text("Cancelled.")
    eventually(page, lambda: ended(service_url, kind="plan", outcome="cancelled") > 0, True, LONG / 1000)
    plan(page, iterations=1)
    expect(page.locator("#plan-facts")).to_contain_text("1 of 1")
