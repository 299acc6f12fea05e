"""SVG and Kalman models over HTTP: the bits of the models themselves, and refusals that say what is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from planner.loaded import ReadyKalman, ReadySVG
from server.app import RESOURCES
from server.client import Client
from server.http.openapi import describe
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.predictions.video_task import CHUNK
from server.settings import Settings
from world_models.frames import to_bytes, to_tensor
from world_models.kalman.queries import Tracks, filtered, generate, interpolate

SEEN, STEPS, SIZE = 4, 5, 16
GREY = np.random.default_rng(0).integers(0, 256, (SEEN, SIZE, SIZE, 1), dtype=np.uint8)
FRAMES = GREY.repeat(3, -1)
COLOURS = np.random.default_rng(1).integers(0, 256, (SEEN, SIZE, SIZE, 3), dtype=np.uint8)
PICTURES = [to_base64(frame) for frame in FRAMES]
DIGITS: dict[str, Any] = {"model": "tiny-lp", "frames": PICTURES, "steps": STEPS}
BALLS: dict[str, Any] = {"model": "tiny-kalman", "frames": PICTURES, "steps": STEPS, "objects": 2}
GAP: dict[str, Any] = {"before": PICTURES, "after": PICTURES[::-1], "steps": STEPS, "objects": 2}
ACTIONS = np.random.default_rng(2).uniform(-1, 1, (SEEN - 1 + STEPS, 2)).astype(np.float32)
DRIVEN: dict[str, Any] = {
    "model": "tiny-fp",
    "frames": [to_base64(frame) for frame in COLOURS],
    "past_actions": ACTIONS[: SEEN - 1].tolist(),
    "actions": ACTIONS[SEEN - 1 :].tolist(),
}


def post(http: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(f"/v1/{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def pictures(frames: list[str]) -> np.ndarray:
    return np.stack([from_base64(text) for text in frames])


def svg(videos: ModelService, name: str) -> Any:
    model = videos.models[name]
    assert isinstance(model, ReadySVG)
    return model.world


def sampled(
    world: Any, frames: np.ndarray, noise: torch.Tensor, actions: torch.Tensor | None = None
) -> np.ndarray:
    """The future that the model itself draws, in a batch of the service's size."""
    rows = [None if part is None else part.expand(CHUNK, -1, -1) for part in (noise, actions)]
    seen = to_tensor(frames)[None]
    drawn = world.sample(seen.expand(CHUNK, -1, -1, -1, -1), *rows)[0]
    return to_bytes(drawn.expand(-1, 3, -1, -1))


def kalman(videos: ModelService) -> Any:
    model = videos.models["tiny-kalman"]
    assert isinstance(model, ReadyKalman)
    return model.world


def positions(rows: list[list[dict[str, Any]]]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([[(place["x"], place["y"]) for place in row] for row in rows])
    return means, np.array([[place["covariance"] for place in row] for row in rows])


def assert_tracks(rows: list[list[dict[str, Any]]], tracks: Tracks) -> None:
    means, covariances = positions(rows)
    assert np.array_equal(means, tracks.means[0].double().numpy())
    assert np.array_equal(covariances, tracks.covariances[0].double().numpy())


def test_samples_are_those_of_the_model_and_their_seed(
    computed: Callable[..., Any], videos: ModelService, video_http: TestClient
) -> None:
    body = DIGITS | {"samples": 3, "seed": 5}
    first, again = (post(video_http, "predictions", body) for _ in range(2))
    assert (first["digest"], first["samples"]) == (again["digest"], again["samples"])
    assert (first["mean"], first["seed"], first["positions"]) == (False, 5, None)
    assert first["context"] == [[]] * SEEN and first["samples"][0]["keypoints"] == [[]] * STEPS
    generator = torch.Generator().manual_seed(5)
    for sample in first["samples"]:
        noise = torch.randn(1, STEPS, 2, generator=generator)
        expected = computed(lambda noise=noise: sampled(svg(videos, "tiny-lp"), GREY, noise))
        assert np.array_equal(pictures(sample["frames"]), expected)
    assert len({tuple(sample["frames"]) for sample in first["samples"]}) == 3
    assert post(video_http, "predictions", body | {"samples": 1})["samples"] == first["samples"][:1]
    other = post(video_http, "predictions", DIGITS | {"samples": 3})
    assert other["seed"] != 5 and other["samples"] != first["samples"]


@pytest.mark.parametrize("name", ["tiny-lp", "tiny-det"])
def test_without_samples_there_is_one_future_of_mean_latents(
    computed: Callable[..., Any], videos: ModelService, video_http: TestClient, name: str
) -> None:
    reply = post(video_http, "predictions", DIGITS | {"model": name})
    assert (reply["mean"], reply["seed"], len(reply["samples"])) == (True, None, 1)
    world = svg(videos, name)
    noise = torch.zeros(1, STEPS, world.config.latent)
    found = pictures(reply["samples"][0]["frames"])
    assert np.array_equal(found, computed(lambda: sampled(world, GREY, noise))) and found.std() > 0


def test_actions_drive_a_model_of_coloured_pictures(
    computed: Callable[..., Any], videos: ModelService, video_http: TestClient
) -> None:
    world = svg(videos, "tiny-fp")
    found = pictures(post(video_http, "predictions", DRIVEN)["samples"][0]["frames"])
    noise, actions = torch.zeros(1, STEPS, 2), torch.from_numpy(ACTIONS)[None]
    assert np.array_equal(found, computed(lambda: sampled(world, COLOURS, noise, actions)))
    still = DRIVEN | {"actions": [[0.0, 0.0]] * STEPS}
    assert not np.array_equal(found, pictures(post(video_http, "predictions", still)["samples"][0]["frames"]))


def test_a_model_of_grey_pictures_sees_the_brightness_of_colours(video_http: TestClient) -> None:
    brightness = (COLOURS @ np.array([299, 587, 114]) + 500) // 1000
    grey = brightness.astype(np.uint8)[..., None].repeat(3, -1)
    replies = [
        post(video_http, "predictions", DIGITS | {"frames": [to_base64(frame) for frame in frames]})
        for frames in (COLOURS, grey)
    ]
    assert replies[0]["digest"] == replies[1]["digest"]


def test_objects_are_followed_and_foreseen(
    computed: Callable[..., Any], videos: ModelService, video_http: TestClient
) -> None:
    first, again = (post(video_http, "predictions", BALLS) for _ in range(2))
    assert first["digest"] == again["digest"]
    assert (first["mean"], first["seed"], len(first["positions"])) == (True, None, 2)
    frames, world = to_tensor(GREY)[None], kalman(videos)
    seen = computed(lambda: filtered(world, frames, 2))
    future = computed(lambda: generate(world, frames, 2, STEPS))
    assert_tracks([each["context"] for each in first["positions"]], seen)
    assert_tracks([each["predicted"] for each in first["positions"]], future)
    (sample,) = first["samples"]
    drawn = future.frames[0].expand(-1, 3, -1, -1)
    assert np.array_equal(pictures(sample["frames"]), to_bytes(drawn))
    blind = post(video_http, "predictions", BALLS | {"render": False})
    assert blind["positions"] == first["positions"] and blind["samples"][0]["frames"] is None
    _, covariances = positions([each["predicted"] for each in first["positions"]])
    assert np.linalg.eigvalsh(covariances).min() > 0


def test_missing_frames_are_filled_in(
    computed: Callable[..., Any], videos: ModelService, video_http: TestClient
) -> None:
    first, again = (post(video_http, "interpolations", GAP) for _ in range(2))
    assert first["digest"] == again["digest"] and first["model"]["name"] == "tiny-kalman"
    sides = to_tensor(GREY)[None], to_tensor(GREY[::-1])[None]
    tracks = computed(lambda: interpolate(kalman(videos), *sides, 2, STEPS))
    assert_tracks(first["positions"], tracks)
    assert np.array_equal(pictures(first["frames"]), to_bytes(tracks.frames[0].expand(-1, 3, -1, -1)))
    blind = post(video_http, "interpolations", GAP | {"render": False})
    assert blind["positions"] == first["positions"] and blind["frames"] is None


def test_objects_ask_for_a_model_that_follows_them(video_http: TestClient) -> None:
    unnamed = {name: value for name, value in BALLS.items() if name != "model"}
    assert post(video_http, "predictions", unnamed)["model"]["name"] == "tiny-kalman"
    del unnamed["objects"]
    assert post(video_http, "predictions", unnamed)["model"]["name"] == "tiny-lp"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (DIGITS | {"objects": 1}, "objects: Of no use to an SVG model; the fields are deadline_ms, frames, "),
        (DIGITS | {"edits": [{"keypoint": 0, "dx": 1.0, "dy": 0.0}]}, "edits: Of no use to an SVG model"),
        (DIGITS | {"render": False}, "render: Of no use to an SVG model"),
        (DIGITS | {"actions": [[0.0]]}, "actions: Of no use to an SVG model"),
        (DIGITS | {"past_actions": [[0.0]] * 3}, "past_actions: Of no use to an SVG model"),
        (DIGITS | {"steps": None}, "steps: Say how many frames to predict: 1 to 50."),
        (DIGITS | {"model": "tiny-det", "samples": 2}, "samples: This model is deterministic"),
        (
            DRIVEN | {"steps": 5},
            "steps: Of no use to an SVG model that takes actions; the fields are ",
        ),
        (DRIVEN | {"actions": [[0.0]]}, "actions: Actions of this model have 2 numbers."),
        (DRIVEN | {"past_actions": []}, "past_actions: 4 frames have 3 actions between them, not 0."),
        (BALLS | {"objects": None}, "objects: Say how many objects there are; this model follows 1 to 2."),
        (BALLS | {"objects": 3}, "objects: Say how many objects there are; this model follows 1 to 2."),
        (BALLS | {"objects": 0}, "objects: Input should be greater than or equal to 1"),
        (BALLS | {"steps": None}, "steps: Say how many frames to predict: 1 to 50."),
        (
            BALLS | {"samples": 2, "seed": 1},
            "samples: Of no use to a Kalman model; the fields are ",
        ),
        (BALLS | {"actions": [[0.0]]}, "actions: Of no use to a Kalman model"),
        (BALLS | {"edits": [{"keypoint": 0, "dx": 1.0, "dy": 0.0}]}, "edits: Of no use to a Kalman model"),
        (BALLS | {"task": "walk"}, "task: Unknown field"),
        (BALLS | {"steps": 51}, "steps: Input should be less than or equal to 50"),
        (BALLS | {"frames": PICTURES * 6}, "frames: List should have at most 20 items"),
    ],
)
def test_bad_prediction_of_a_video(video_http: TestClient, body: dict[str, Any], sentence: str) -> None:
    assert_problem(video_http.post("/v1/predictions", json=body), "invalid-request", sentence)


@pytest.mark.parametrize(
    ("change", "slug", "sentence"),
    [
        ({"objects": 3}, "invalid-request", "objects: Say how many objects there are; this model follows 1"),
        ({"objects": None}, "invalid-request", "objects: Input should be a valid integer"),
        ({"steps": 0}, "invalid-request", "steps: Input should be greater than or equal to 1"),
        ({"steps": 51}, "invalid-request", "steps: Input should be less than or equal to 50"),
        ({"before": []}, "invalid-request", "before: List should have at least 1 item"),
        ({"after": PICTURES * 6}, "invalid-request", "after: List should have at most 20 items"),
        ({"after": ["%"]}, "invalid-request", "after.0: This is not base64"),
        ({"samples": 2}, "invalid-request", "samples: Unknown field; the fields are after, before, "),
        ({"before": [to_base64(FRAMES[0, :8])]}, "invalid-picture", "before.0 is 16 x 8 pixels; this model"),
        ({"model": "tiny-lp"}, "wrong-model", "tiny-lp cannot answer this; models that can: tiny-kalman."),
    ],
)
def test_bad_interpolation(video_http: TestClient, change: dict[str, Any], slug: str, sentence: str) -> None:
    assert_problem(video_http.post("/v1/interpolations", json=GAP | change), slug, sentence)


def test_work_of_videos_has_limits(video_http: TestClient) -> None:
    frames = video_http.post("/v1/predictions", json=DIGITS | {"samples": 50, "steps": 21})
    assert_problem(frames, "too-much-work", "50 samples x 21 steps = 1050 frames; one request may take 1000")
    late = video_http.post("/v1/predictions", json=DIGITS | {"samples": 50, "steps": 20, "deadline_ms": 1})
    assert (late.status_code, late.headers["content-type"]) == (503, "application/problem+json")


def test_keypoints_are_not_found_by_models_without_any(
    video_http: TestClient, world_http: TestClient
) -> None:
    reply = video_http.post("/v1/keypoints", json={"frames": PICTURES, "model": "tiny-lp"})
    assert_problem(reply, "wrong-model", "tiny-lp cannot answer this; models that can: none.")
    reply = world_http.post(
        "/v1/predictions", json={"frames": PICTURES, "model": "tiny-agents", "objects": 1}
    )
    assert_problem(reply, "invalid-request", "objects: This model finds keypoints and no objects")


def assert_problem(reply: Any, slug: str, sentence: str) -> None:
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json"), reply.text
    assert reply.json()["type"] == f"urn:waymark:problem:{slug}"
    assert sentence in reply.json()["detail"], reply.json()["detail"]


def test_models_of_videos_say_what_they_are(video_http: TestClient) -> None:
    models = {model["name"]: model for model in video_http.get("/v1/models").json()["models"]}
    names, fields = ("tiny-lp", "tiny-fp", "tiny-det"), ("kind", "prior", "stochastic", "grey")
    assert [tuple(models[name][field] for field in fields) for name in names] == [
        ("svg", "learned", True, True),
        ("svg", "fixed", True, False),
        ("svg", "none", False, True),
    ]
    assert (models["tiny-fp"]["actions"], models["tiny-fp"]["image_size"]) == (2, SIZE)
    followed = models["tiny-kalman"]
    assert (followed["kind"], followed["image_size"]) == ("kalman", SIZE)
    assert followed["limits"]["objects"] == {"min": 1, "max": 2}
    assert followed["limits"]["frames"] == {"min": 1, "max": 20}


@pytest.mark.parametrize("first", ["tiny-lp", "tiny-fp", "tiny-kalman"])
def test_examples_of_the_description_work_for_models_of_videos(
    videos: ModelService, video_http: TestClient, first: str
) -> None:
    models = {name: videos.models[name] for name in {first: 1, "tiny-kalman": 2}}
    service = ModelService(Settings(models=tuple(models)), lambda name, device: models[name])
    service.models = models
    document = describe(video_http.app, service, RESOURCES)
    for path, answers in (("predictions", first), ("interpolations", "tiny-kalman")):
        body = document["paths"][f"/v1/{path}"]["post"]["requestBody"]["content"]["application/json"]
        assert post(video_http, path, body["example"])["model"]["name"] == answers


def test_the_client_has_arrays(videos: ModelService, serve: Callable[..., Any]) -> None:
    service = ModelService(Settings(models=tuple(videos.models)), lambda name, device: videos.models[name])
    with serve(service) as url, Client(url) as client:
        assert [model.kind for model in client.models()] == ["svg"] * 3 + ["kalman"]
        drawn = client.predictions(GREY, steps=STEPS, samples=2, seed=1)
        followed = client.predictions(FRAMES, steps=STEPS, objects=2, render=False)
        between = client.interpolations(FRAMES, FRAMES, STEPS, 1)
    assert drawn.images is not None and drawn.images.shape == (2, STEPS, SIZE, SIZE, 3)
    assert drawn.keypoints.shape == (2, STEPS, 0, 3) and drawn.predicted is None
    assert followed.images is None and followed.seen is not None and followed.predicted is not None
    assert followed.seen.means.shape == (2, SEEN, 2)
    assert followed.predicted.covariances.shape == (2, STEPS, 2, 2)
    assert between.images is not None and between.images.shape == (STEPS, SIZE, SIZE, 3)
    assert between.positions.means.shape == (1, STEPS, 2)
