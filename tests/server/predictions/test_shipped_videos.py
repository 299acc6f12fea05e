"""The models of videos that ship, asked over HTTP about videos that they were not trained on."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from envs.videos import cannonballs, moving_digits
from planner.loading import available_video_models, load_ready
from server.app import create_app
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.settings import Settings

UNSEEN = 1_000_003
"""A seed that no data set is made with."""
SEEN, BETWEEN = 5, 20


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    service = ModelService(Settings(models=available_video_models(), threads=1), load_ready)
    with TestClient(create_app(service.settings, service), base_url="http://localhost") as http:
        yield http


def post(http: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(f"/v1/{path}", json=body | {"deadline_ms": 60_000})
    assert reply.status_code == 200, reply.text
    return reply.json()


def pictures(frames: np.ndarray) -> list[str]:
    return [to_base64(frame.repeat(3, -1)) for frame in frames]


@pytest.mark.parametrize("name", ["svg-lp-digits", "svg-fp-digits", "svg-det-digits"])
def test_digits_fly_on(shipped: TestClient, name: str) -> None:
    """The best of some futures is much nearer to what came than the last frame, standing still."""
    videos = moving_digits.draw_sequences(moving_digits.Videos(split="test", count=1), UNSEEN, 0, 6).frames
    futures = {} if name == "svg-det-digits" else {"samples": 8, "seed": 3}
    shares = []
    for video in videos:
        asked = {"model": name, "frames": pictures(video[:SEEN]), "steps": 5} | futures
        samples = post(shipped, "predictions", asked)["samples"]
        drawn = np.array([[from_base64(text) for text in sample["frames"]] for sample in samples])
        truth = video[SEEN : SEEN + 5].astype(float)
        errors = np.square(drawn[..., :1] - truth).mean((1, 2, 3, 4))
        shares.append(errors.min() / np.square(video[SEEN - 1] - truth).mean())
    assert np.median(shares) < 0.6, shares


@pytest.mark.parametrize("balls", [1, 2, 3])
def test_cannonballs_are_followed_to_within_pixels(shipped: TestClient, balls: Any) -> None:
    """Seen for five frames, foreseen for 25; and filled in between five and five."""
    drawn = cannonballs.draw_sequences(cannonballs.Videos(balls), UNSEEN, 0, 3)
    true = drawn.states.reshape(3, -1, 3, balls, 2)[:, :, 1].swapaxes(1, 2)
    end = SEEN + BETWEEN
    errors = []
    for frames, truth in zip(drawn.frames, true, strict=True):
        asked = {"model": "kalman-cannonballs", "objects": balls, "render": False}
        first, last = pictures(frames[:SEEN]), pictures(frames[end:])
        seen = post(shipped, "predictions", asked | {"frames": first, "steps": end})["positions"]
        gap = post(shipped, "interpolations", asked | {"before": first, "after": last, "steps": BETWEEN})
        paths = [[*each["context"], *each["predicted"]] for each in seen]
        found = distance(paths, truth), distance(gap["positions"], truth[:, SEEN:end])
        errors.append(found)
    foreseen, between = np.mean(errors, axis=0)
    assert foreseen < 3 and between < 1, errors


def distance(found: list[list[dict[str, float]]], truth: np.ndarray) -> float:
    """In pixels, on average; objects may be counted in any order."""
    places = np.array([[(place["x"], place["y"]) for place in row] for row in found])
    return min(
        float(np.linalg.norm(places[list(order)] - truth, axis=-1).mean())
        for order in permutations(range(len(truth)))
    )
