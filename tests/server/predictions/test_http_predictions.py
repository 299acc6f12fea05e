"""Rewards, keypoints and predictions over HTTP: the bits of the model itself, whatever is asked beside."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

import envs  # noqa: F401 - registers the environments
from planner.loaded import ReadyWorldModel
from planner.search.rollout import Interrupted, drive
from server.http.pictures import from_base64, to_base64
from server.models.service import ModelService
from server.predictions.keypoint_task import CHUNK, PredictionTask, RewardTask, Seen
from server.predictions.models import reward_models
from server.predictions.schemas import KeypointContent, PredictionContent, RewardContent
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.vision import from_pixels, to_pixels

TASK, SEEN, STEPS = "cartpole-balance", 4, 20


@pytest.fixture(scope="module")
def episode() -> tuple[np.ndarray, np.ndarray]:
    """Frames of the real environment, and the actions between them."""
    env = gymnasium.make("waymark/CartpoleBalance-v0")
    rng = np.random.default_rng(0)
    frame, _ = env.reset(seed=3)
    frames, actions = [frame], []
    for _ in range(SEEN - 1):
        actions.append(rng.uniform(-1, 1, env.action_space.shape))
        frames.append(env.step(actions[-1])[0])
    env.close()
    return np.stack(frames), np.stack(actions)


@pytest.fixture(scope="module")
def context(episode: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    frames, actions = episode
    return {"frames": [to_base64(frame) for frame in frames], "past_actions": actions.tolist()}


def sequences(count: int, width: int = 1, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, steps, width)).astype(np.float32)


def dmc(worlds: ModelService) -> ReadyWorldModel:
    return worlds.choose("tiny-dmc", reward_models(worlds))


def post(http: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(f"/v1/{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def values(keypoints: Sequence[Sequence[dict[str, float]]]) -> np.ndarray:
    rows = [[(point["x"], point["y"], point["scale"]) for point in row] for row in keypoints]
    return np.array(rows, np.float32)


def pixels(features: torch.Tensor) -> np.ndarray:
    points = features.unflatten(-1, (-1, 3))
    return torch.cat([to_pixels(points[..., :2], 64), points[..., 2:]], -1).numpy()


def tensors(episode: tuple[np.ndarray, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    return to_tensor(episode[0]), torch.from_numpy(episode[1].astype(np.float32))


def test_rewards_of_frames_from_the_environment_are_those_in_process(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    episode: Any,
    context: dict[str, Any],
) -> None:
    actions = sequences(64)
    reply = post(world_http, "rewards", context | {"task": TASK, "actions": actions.tolist()})

    def directly() -> torch.Tensor:
        model, (frames, past) = dmc(worlds), tensors(episode)
        head = model.heads[TASK].head
        state = model.world.encode(Context(frames[None], past[None]))
        future = model.world.roll_out(state.repeat(64), torch.from_numpy(actions))
        whole = torch.cat([state.carried.repeat(64, 1, 1), future.carried], 1)
        expected = head(future.carried, head(state.carried)[1].repeat(64, 1, 1))[0]
        assert torch.allclose(head(whole)[0][:, SEEN:], expected, atol=1e-5)
        return expected

    rewards = np.array(reply["rewards"], np.float32)
    assert rewards.shape == (64, STEPS) and rewards.std(0).min() > 0
    assert np.array_equal(rewards, computed(directly).numpy())
    assert reply["returns"] == [math.fsum(row) for row in reply["rewards"]]
    assert (reply["model"]["name"], reply["task"]) == ("tiny-dmc", TASK)
    assert reply["reward_head"] == dmc(worlds).heads[TASK].sha256


def test_rewards_of_a_sequence_do_not_depend_on_the_others(
    world_http: TestClient, context: dict[str, Any]
) -> None:
    body, actions = context | {"task": TASK}, sequences(CHUNK + 3).tolist()
    many = post(world_http, "rewards", body | {"actions": actions})["rewards"]
    for few in (1, 3, CHUNK):
        assert post(world_http, "rewards", body | {"actions": actions[:few]})["rewards"] == many[:few]
    others = [actions[0], *actions[:0:-1]]
    assert post(world_http, "rewards", body | {"actions": others})["rewards"][0] == many[0]
    assert post(world_http, "rewards", body | {"actions": actions[CHUNK:]})["rewards"] == many[CHUNK:]


def test_one_frame_needs_no_past_and_tasks_have_heads_of_their_own(
    worlds: ModelService, world_http: TestClient, context: dict[str, Any]
) -> None:
    body = {"frames": context["frames"][:1], "task": "cheetah-run", "actions": sequences(2, 6, 3).tolist()}
    reply = post(world_http, "rewards", body)
    assert np.shape(reply["rewards"]) == (2, 3)
    assert reply["reward_head"] == dmc(worlds).heads["cheetah-run"].sha256


def test_keypoints_are_those_of_the_detector_in_pixels(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    episode: Any,
    context: dict[str, Any],
) -> None:
    reply = post(world_http, "keypoints", {"frames": context["frames"]})
    features = computed(lambda: dmc(worlds).world.embed(tensors(episode)[0]))
    assert np.array_equal(values(reply["keypoints"]), pixels(features))
    assert values(reply["keypoints"]).shape == (SEEN, 4, 3)


def test_mean_prediction_is_the_models_own(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    episode: Any,
    context: dict[str, Any],
) -> None:
    actions = sequences(1)[0]
    reply = post(world_http, "predictions", context | {"actions": actions.tolist()})
    assert (reply["mean"], reply["seed"], len(reply["samples"])) == (True, None, 1)

    def directly() -> tuple[torch.Tensor, torch.Tensor]:
        world, (frames, past) = dmc(worlds).world, tensors(episode)
        state = world.encode(Context(frames[None], past[None])).repeat(CHUNK)
        features = world.roll_out(state, torch.from_numpy(actions).expand(CHUNK, -1, -1)).features[0]
        return features, world.decode(features, world.reference(frames[:1]).repeat(STEPS))

    features, pictures = computed(directly)
    (sample,) = reply["samples"]
    assert np.array_equal(values(sample["keypoints"]), pixels(features))
    drawn = np.stack([from_base64(text) for text in sample["frames"]])
    assert np.array_equal(drawn, to_bytes(pictures)) and drawn.std(0).max() > 0


def test_samples_are_those_of_their_seed(world_http: TestClient, context: dict[str, Any]) -> None:
    body = context | {"actions": sequences(1)[0].tolist(), "samples": 3, "seed": 5, "render": False}
    first, again = (post(world_http, "predictions", body) for _ in range(2))
    assert first["digest"] == again["digest"] and first["samples"] == again["samples"]
    a, b, c = (values(sample["keypoints"]) for sample in first["samples"])
    assert not np.array_equal(a, b) and not np.array_equal(b, c)
    assert not first["mean"] and all(sample["frames"] is None for sample in first["samples"])
    assert post(world_http, "predictions", body | {"samples": 1})["samples"] == first["samples"][:1]
    other = post(world_http, "predictions", {key: value for key, value in body.items() if key != "seed"})
    assert other["seed"] != 5 and other["samples"] != first["samples"]
    repeated = post(world_http, "predictions", body | {"seed": other["seed"]})
    assert repeated["digest"] == other["digest"]


def test_moved_keypoint_pulls_the_others_through_the_dynamics_alone(
    computed: Callable[..., Any],
    worlds: ModelService,
    world_http: TestClient,
    episode: Any,
    context: dict[str, Any],
) -> None:
    actions = sequences(1)[0]
    body = context | {"actions": actions.tolist(), "render": False}
    plain = post(world_http, "predictions", body)
    edits = [{"keypoint": 2, "dx": 5.0, "dy": -3.0}, {"keypoint": 0, "frame": 1, "x": 10.0, "y": 20.0}]
    moved = post(world_http, "predictions", body | {"edits": edits})
    before, after = values(plain["context"]), values(moved["context"])
    assert np.allclose(after[:, 2, :2] - before[:, 2, :2], (5.0, -3.0), atol=1e-4)
    assert np.allclose(after[1, 0, :2], (10.0, 20.0), atol=1e-4)
    untouched = np.ones(before.shape, bool)
    untouched[:, 2, :2] = untouched[1, 0, :2] = False
    assert np.array_equal(before[untouched], after[untouched])

    def directly() -> torch.Tensor:
        world, (frames, past) = dmc(worlds).world, tensors(episode)
        features = world.embed(frames).unflatten(-1, (-1, 3)).clone()
        place = to_pixels(features[:, 2, :2], 64) + torch.tensor([5.0, -3.0])
        features[:, 2, :2] = from_pixels(place, 64)
        features[1, 0, :2] = from_pixels(torch.tensor([10.0, 20.0]), 64)
        state = world.take_in(features.flatten(-2)[None], past[None]).repeat(CHUNK)
        return world.roll_out(state, torch.from_numpy(actions).expand(CHUNK, -1, -1)).features[0]

    future = values(moved["samples"][0]["keypoints"])
    assert np.array_equal(future, pixels(computed(directly)))
    unedited = [1, 3]
    assert not np.array_equal(future[:, unedited], values(plain["samples"][0]["keypoints"])[:, unedited])


def test_bodies_are_no_keypoints_and_follow_those_that_are_moved(
    computed: Callable[..., Any], worlds: ModelService, world_http: TestClient, episode: Any
) -> None:
    frames, past = episode[0], np.full((SEEN - 1, 2), 0.5, np.float32)
    actions = sequences(1, 2)[0]
    body = {"model": "tiny-push", "frames": [to_base64(frame) for frame in frames]}
    found = values(post(world_http, "keypoints", body)["keypoints"])
    edit = {"keypoint": 2, "dx": 5.0, "dy": -3.0}
    body |= {"past_actions": past.tolist(), "actions": actions.tolist(), "render": False, "edits": [edit]}
    reply = post(world_http, "predictions", body)
    (sample,) = reply["samples"]
    assert found.shape == (SEEN, 4, 3) and values(sample["keypoints"]).shape == (STEPS, 4, 3)
    moved = np.zeros_like(found)
    moved[:, 2, :2] = 5.0, -3.0
    assert values(reply["context"]) - found == pytest.approx(moved, abs=1e-4)

    def directly() -> torch.Tensor:
        world = worlds.models["tiny-push"].world
        detected = world.vision.detect(to_tensor(frames)).features.unflatten(-1, (-1, 3)).clone()
        place = to_pixels(detected[:, 2, :2], 64) + torch.tensor([5.0, -3.0])
        detected[:, 2, :2] = from_pixels(place, 64)
        seen = torch.cat([detected.flatten(-2), world.reader(detected.flatten(-2))], -1)
        state = world.take_in(seen[None], torch.from_numpy(past)[None]).repeat(CHUNK)
        return world.roll_out(state, torch.from_numpy(actions).expand(CHUNK, -1, -1)).features[0, :, :12]

    assert np.array_equal(values(sample["keypoints"]), pixels(computed(directly)))


def test_model_without_actions_predicts_as_many_steps_as_asked(world_http: TestClient) -> None:
    frame = to_base64(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    body = {"model": "tiny-agents", "frames": [frame, frame, frame], "steps": 5, "samples": 2}
    samples = post(world_http, "predictions", body)["samples"]
    assert [len(sample["frames"]) for sample in samples] == [5, 5]
    assert from_base64(samples[0]["frames"][0]).shape == (16, 16, 3)
    assert post(world_http, "keypoints", {"model": "tiny-agents", "frames": [frame]})["model"]["name"] == (
        "tiny-agents"
    )


@pytest.mark.parametrize(
    ("path", "content", "change"),
    [
        ("keypoints", KeypointContent, {}),
        ("rewards", RewardContent, {"task": TASK, "actions": sequences(2).tolist()}),
        ("predictions", PredictionContent, {"actions": sequences(1)[0].tolist()}),
    ],
)
def test_reply_has_digest_timings_and_request_id(
    world_http: TestClient, context: dict[str, Any], path: str, content: Any, change: dict[str, Any]
) -> None:
    body = ({"frames": context["frames"]} if path == "keypoints" else context) | change
    reply = world_http.post(f"/v1/{path}", json=body, headers={"X-Request-Id": "mine-2"})
    fields = {name: reply.json()[name] for name in content.model_fields if name != "calibration"}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert reply.json()["digest"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert reply.headers["X-Request-Id"] == reply.json()["request_id"] == "mine-2"
    timings = reply.json()["timings"]
    assert set(timings) == {"decode_ms", "queue_ms", "work_ms", "encode_ms", "total_ms"}
    assert f"work;dur={timings['work_ms']}" in reply.headers["Server-Timing"]


@pytest.mark.parametrize("reason", ["deadline", "cancelled"])
def test_work_ends_between_pieces(worlds: ModelService, reason: Any) -> None:
    model, seen = dmc(worlds), Seen(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((0, 1), np.float32))
    rewards = RewardTask(model, TASK, model.heads[TASK], seen, sequences(CHUNK + 1))
    picture = PredictionTask(model, seen, (), sequences(1)[0], 1, None, render=True)
    for task in (rewards, picture):
        with pytest.raises(Interrupted) as stopped:
            drive(task.work("cpu"), lambda _: reason)
        assert stopped.value.reason == reason
