"""The world models that ship: they load, say where they come from, and do what their cards say."""

import numpy as np
import pytest
import torch

from envs.dmc.env import DmcEnv
from envs.dmc.recordings import draw_sequences
from envs.push.env import PushEnv
from envs.push.play import draw_sequences as draw_play
from envs.videos.agents import draw_sequences as draw_agents
from planner.evaluate import Push, evaluate
from planner.loading import available_world_models, load_world_model
from planner.low_levels.learned import control_by_place, control_by_reward, moves_object
from planner.low_levels.low_level import Request
from world_models.checkpoint import read_model
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.segmenter import PUCK_GOAL
from world_models.shipped import PRETRAINED
from world_models.struct_vrnn.presets import DMC_TASKS

OBSERVED = 8
UNSEEN = 1_000_003
"""A seed that no data set is made with."""


@pytest.fixture(scope="module")
def dmc():
    return load_world_model("struct-vrnn-dmc")


def test_world_models_and_heads_say_where_they_come_from(dmc):
    assert set(available_world_models()) >= {"struct-vrnn-dmc", "struct-vrnn-agents"}
    heads = [PRETRAINED / "struct-vrnn-dmc-rewards" / task for task in DMC_TASKS]
    for folder in (*(PRETRAINED / name for name in available_world_models()), *heads):
        card = read_model(folder).card
        assert "world_models.train" in card and "seed" in card
    assert tuple(sorted(dmc.heads)) == tuple(sorted(DMC_TASKS))


@pytest.mark.parametrize(("task", "share"), [("cartpole-balance", 0.2), ("walker-stand", 0.6)])
def test_rewards_of_new_episodes_are_predicted(dmc, task, share):
    """Twelve imagined frames: the error is well below that of always answering the mean."""
    env = DmcEnv(task)
    try:
        sequences = draw_sequences(env, UNSEEN, 0, 20)
    finally:
        env.close()
    frames, actions = to_tensor(sequences.frames[:, :OBSERVED]), torch.from_numpy(sequences.actions)
    with torch.inference_mode():
        state = dmc.world.encode(Context(frames, actions[:, : OBSERVED - 1]))
        head = dmc.heads[task].head
        _, memory = head(state.carried)
        future = dmc.world.roll_out(state, actions[:, OBSERVED - 1 :])
        found, _ = head(future.carried, memory)
    truth = torch.from_numpy(sequences.rewards[:, OBSERVED:])
    assert (found - truth).square().mean() < share * truth.var()


def test_players_are_found_and_a_moved_one_is_reacted_to():
    """Keypoints follow the dots, and moving one of them in the past changes what the others do (Fig. 6)."""
    world = load_world_model("struct-vrnn-agents").world
    sequences = draw_agents(UNSEEN, 0, 40)
    with torch.inference_mode():
        features = world.embed(to_tensor(sequences.frames).flatten(0, 1)).unflatten(0, (40, 20))
        inputs = torch.cat([features.flatten(0, 1), torch.ones(800, 1)], -1).double().numpy()
        places = sequences.states.reshape(800, -1).astype(np.float64)
        fit, *_ = np.linalg.lstsq(inputs[:600], places[:600], rcond=None)
        error = np.linalg.norm((inputs[600:] @ fit - places[600:]).reshape(200, 6, 2), axis=-1)
        assert (error[:, :5].mean(0) < 1.0).sum() >= 3  # the card: the others and the ball are not found
        past, none = features[:1, :OBSERVED], torch.zeros(1, OBSERVED - 1, 0)
        seen = int(past[0, :, 2::3].mean(0).argmax())
        moved = past.clone()
        moved[:, :, 3 * seen] += 0.3
        futures = [
            world.imagine(world.take_in(each, none), torch.zeros(1, 12, 0)).features.unflatten(-1, (-1, 3))
            for each in (past, moved)
        ]
    others = [k for k in range(world.config.keypoints) if k != seen]
    assert (futures[0] - futures[1])[0, :, others, :2].abs().max() > 0.02


def test_puck_and_finger_are_found_and_followed_into_the_future():
    """On play that the model has not seen; the puck is 6 pixels wide."""
    env = PushEnv()
    try:
        sequences = draw_play(env, UNSEEN, 0, 30)
    finally:
        env.close()
    world = load_world_model("struct-vrnn-push").world
    frames, actions = to_tensor(sequences.frames[:, :12]), torch.from_numpy(sequences.actions[:, :11])
    truth = torch.from_numpy(sequences.states[:, :12, 4:]).unflatten(-1, (2, 2))
    with torch.inference_mode():
        found = world.places(world.embed(frames.flatten(0, 1)).unflatten(0, (30, 12)))
        state = world.encode(Context(frames[:, :4], actions[:, :3]))
        imagined = world.places(world.imagine(state, actions[:, 3:]).features)
    assert (found - truth).norm(dim=-1).flatten(0, 1).quantile(0.9, 0).max() < 0.6
    missed = (imagined - truth[:, 4:]).norm(dim=-1)
    moved = (truth[:, -1, 0] - truth[:, 3, 0]).norm(dim=-1)
    assert missed[:, 7, 0].mean() < 0.35 * moved.mean()
    assert missed[:, 7, 1].mean() < 1.0


@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("acrobot", ("acrobot-swingup",)),
        ("cartpole", ("cartpole-balance",)),
        ("cheetah", ("cheetah-run",)),
        ("reacher", ("reacher-easy",)),
        ("walker", ("walker-stand", "walker-walk")),
    ],
)
def test_every_domain_has_a_model_that_acts(name, tasks):
    ready = load_world_model(f"struct-vrnn-{name}")
    assert tuple(sorted(ready.heads)) == tasks
    for task in tasks:
        low_level = control_by_reward(ready, task)
        seen = Context(torch.zeros(1, 1, 3, 64, 64), torch.zeros(1, 0, ready.heads[task].head.config.actions))
        step = low_level.act(Request(seen, seen.frames[:, 0], None, torch.Generator().manual_seed(0)))
        assert step.cost.isfinite().all() and step.action.abs().max() <= 1


def test_the_model_of_pushing_is_asked_for_the_puck():
    movers = {name for name in available_world_models() if moves_object(load_world_model(name))}
    assert movers == {"struct-vrnn-push"}
    ready = load_world_model("struct-vrnn-push")
    assert ready.world.config.goal == PUCK_GOAL
    assert control_by_place(ready).model.decision_dim == 2


@pytest.mark.slow
def test_the_puck_is_delivered_from_pictures_alone(tmp_path):
    run = Push(
        planners="keyin", servo="learned", compare=False, episodes=4, workers=2, out=tmp_path / "r.json"
    )
    (row,) = evaluate(run)[0]["rows"]
    assert row["success_rate"] == 1.0
    assert row["simulator_steps_mean"] == 0
