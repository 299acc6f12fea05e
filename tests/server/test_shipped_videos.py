"""The models of videos that ship, asked over HTTP about videos that they were not trained on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from envs import moving_digits
from planner.build import available_video_models, load_ready
from server.app import create_app
from server.codecs import from_base64, to_base64
from server.service import ModelService
from server.settings import Settings

UNSEEN = 1_000_003
"""A seed that no data set is made with."""
SEEN = 5


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
