"""The search with a control model: horizon, proposals, value; and how such models are loaded."""

import json

import pytest
import torch

from planner.evaluation.dmc import Dmc
from planner.evaluation.run import evaluate
from planner.loading import load_control
from planner.low_levels.dynamics import ControlModel
from planner.low_levels.learned import DMC_SERVO, VALUE_SERVO, control_by_value
from planner.low_levels.low_level import Request
from planner.practice.recording import load_search
from planner.search.cem import CemConfig
from planner.search.rollout import Proposer
from planner.search.servo import ServoConfig
from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.interface import Context, Dynamics
from world_models.shipped import find_folder
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.detector.features import measure, stack
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.model import StructVRNN

EYE = StructVRNNConfig(
    actions=1, widths=(0, 4, 8), keypoints=3, bodies=("cart", "pole_tip"), latent=2, hidden=8
)
SMALL = ServoConfig(horizon=3, cem=CemConfig(candidates=6, iterations=2, bound=1.0))


def untrained(folder, task="cartpole-balance"):
    """A run's folder with a model that was never trained, whose heads say something all the same."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        write_model(folder / "detector", EYE, StructVRNN(EYE), "")
        config = ControlConfig(
            task=task,
            detector=read_model(folder / "detector").weights_digest,
            actions=1,
            measured=2 * 2 + 3 * 3,
            width=16,
            latent=16,
            most_reward=4.0,
        )
        control = Control(config)
        for head in (control.reward, control.critics):
            torch.nn.init.normal_(head.weights[-1])
        write_model(folder / "model", config, control, "")
    return folder / "model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def model(folder):
    ready = load_control(str(folder))
    return ControlModel(ready.world, ready.control)


def seen(frames, rows=1):
    rng = torch.Generator().manual_seed(0)
    pictures = torch.rand(rows, frames, 3, 64, 64, generator=rng)
    return Context(pictures, 2 * torch.rand(rows, frames - 1, 1, generator=rng) - 1)


def act(low_level, context, seed=1):
    return low_level.act(Request(context, context.frames[:, 0], None, torch.Generator().manual_seed(seed)))


def test_the_last_three_pictures_and_the_actions_between_are_read(model):
    context = seen(5)
    features = torch.stack([model.world.embed(frame) for frame in context.frames[0].split(1)]).transpose(0, 1)
    measured = measure(model.world, features, ("bodies", "keypoints"))
    expected = model.control.encode(stack(measured[:, 2:], context.actions[:, 2:], 3)[:, -1])
    # Detection is in reduced precision where the machine is fast at it.
    torch.testing.assert_close(model.encode(context).latent, expected, atol=0.02, rtol=0.1)
    last = Context(context.frames[:, 2:], context.actions[:, 2:])
    assert torch.equal(model.encode(last).latent, model.encode(context).latent)
    alone = model.encode(Context(context.frames[:, :1], context.actions[:, :0])).latent
    assert alone.shape == (1, 16) and not torch.equal(alone, model.encode(last).latent)


def test_it_is_dynamics_with_suggestions(model):
    assert isinstance(model, Dynamics) and isinstance(model, Proposer) and model.decision_dim == 1
    state, actions = model.encode(seen(3)), torch.tensor([[[0.5], [-1.0]]])
    future = model.imagine(state, actions)
    rewards, latents = model.control.roll_out(state.latent, actions)
    assert torch.equal(future.features, torch.cat([rewards[..., None], latents], -1))
    assert future.times.tolist() == [[1, 2]]
    assert torch.equal(model.value(future.features[:, -1]), model.control.value(latents[:, -1]))


def test_costs_are_discounted_rewards_and_the_value_after_them(model):
    low_level, context = control_by_value(model.world, model.control, SMALL), seen(4)
    step = act(low_level, context)
    again = act(low_level, context)
    assert torch.equal(step.decisions, again.decisions) and torch.equal(step.cost, again.cost)
    rewards, latents = model.control.roll_out(model.encode(context).latent, step.decisions)
    discounts = 0.98 ** torch.arange(3)
    expected = (rewards * discounts).sum() + 0.98**3 * model.control.value(latents[:, -1])[0]
    torch.testing.assert_close(step.cost[0], -expected)
    assert step.decisions.shape == (1, 3, 1) and bool((step.action.abs() <= 1).all())


def test_the_search_is_never_worse_than_the_policy(model):
    low_level, context = control_by_value(model.world, model.control, SMALL), seen(4)
    assert low_level.memory == 3 and low_level.imagined_steps == 6 * 2 * 3 + 2 * 3
    state = model.encode(context)
    greedy = model.propose(state, torch.zeros(1, 3, 1))
    cost = low_level.servo.cost
    best = cost(model.imagine(state, greedy), greedy, torch.zeros(1, 0))
    for seed in range(3):
        assert act(low_level, context, seed).cost <= best + 1e-5
    assert VALUE_SERVO.horizon == 3 and VALUE_SERVO.cem.candidates == 24


def test_a_control_model_is_loaded_with_what_it_reads(tmp_path, folder):
    ready = load_control(str(folder))
    assert (ready.image_size, ready.control.config.task) == (64, "cartpole-balance")
    assert ready.sha256 == read_model(folder).digest
    with pytest.raises(ValueError, match="no model 'mars'"):
        load_control("mars")
    with pytest.raises(CheckpointError, match="is no ControlConfig"):
        load_control("struct-vrnn-cartpole")
    lonely = untrained(tmp_path)
    (tmp_path / "detector").rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match=r"which is neither at .*detector nor among those that ship"):
        load_control(str(lonely))


def test_the_learned_arm_acts_with_a_control_model_beside_the_others(tmp_path, folder):
    # {task} in the name stands for the task.
    (tmp_path / "cartpole-balance").symlink_to(folder.parent)
    run = Dmc(
        task="cartpole-balance",
        arms="learned,rewards,simulator-10x,random",
        episodes=1,
        steps=3,
        workers=1,
        control=str(tmp_path / "{task}" / "model"),
        settings=ServoConfig(horizon=12, cem=CemConfig(candidates=6, iterations=2, bound=1.0)),
        out=tmp_path / "r.json",
    )
    result, _ = evaluate(run)
    rows = {row["arm"]: row for row in result["rows"]}
    assert list(rows) == ["learned", "rewards", "simulator-10x", "random"]
    assert {row["steps_mean"] for row in rows.values()} == {3}
    assert rows["learned"]["model_steps_mean"] == 3 * (6 * 2 * 3 + 2 * 3)
    assert rows["rewards"]["model_steps_mean"] == 3 * 6 * 2 * 30
    assert rows["simulator-10x"]["model_steps_mean"] == 3 * 10 * 6 * 2 * 30
    every = json.loads(run.out.read_text())["settings"]["cartpole-balance"]
    settings = every["learned"]
    assert settings["search"]["horizon"] == 3 and every["rewards"]["search"]["horizon"] == 30
    assert every["rewards"]["weights_sha256"] != settings["weights_sha256"]
    assert settings["weights_sha256"] == read_model(folder).weights_digest
    assert settings["detector_sha256"] == read_model(folder.with_name("detector")).weights_digest
    assert run.search_of("simulator", "cartpole-balance").horizon == 30


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"control": "control-mars"}, "no model 'control-mars'"),
        ({"task": "reacher-easy"}, "was trained to do cartpole-balance, not reacher-easy"),
    ],
)
def test_the_learned_arm_takes_a_model_of_its_task_alone(tmp_path, folder, change, words):
    settings = {"task": "cartpole-balance", "arms": "learned", "workers": 1, "out": tmp_path / "r.json"}
    with pytest.raises(ValueError, match=words):
        evaluate(Dmc(**(settings | {"control": str(folder)} | change)))


def test_the_learned_arm_is_a_control_model_where_one_ships_and_seeks_predicted_reward_elsewhere(monkeypatch):
    run = Dmc(task="cartpole-balance", arms="learned,rewards")

    def arms():
        found = run.dependencies(run.trials())
        return [found[trial] for trial in run.trials()]

    learned, rewards = arms()
    shipped = read_model(find_folder("control-cartpole-balance")).weights_digest
    assert (learned["weights_sha256"], learned["search"]["horizon"]) == (shipped, 3)
    monkeypatch.setattr("planner.evaluation.control_models.shipped_models", list)
    assert arms() == [rewards, rewards] and rewards["search"]["horizon"] == 30


def test_a_control_model_records_with_its_short_horizon_and_others_as_ever(folder):
    search = load_search(str(folder), "cartpole-balance", DMC_SERVO, None, "cpu")
    assert search.settings == DMC_SERVO.model_copy(update={"horizon": 3})
    assert search.made_of == {
        "model": folder.parent.name,
        "weights": read_model(folder).weights_digest,
        "detector": read_model(folder.with_name("detector")).weights_digest,
    }
    assert load_search(str(folder), "cartpole-balance", DMC_SERVO, 5, "cpu").settings.horizon == 5
    with pytest.raises(ValueError, match="trained to do cartpole-balance, not walker-walk; choose another"):
        load_search(str(folder), "walker-walk", DMC_SERVO, None, "cpu")
    shipped = load_search("struct-vrnn-cartpole", "cartpole-balance", DMC_SERVO, None, "cpu")
    assert shipped.settings == DMC_SERVO and set(shipped.made_of) == {"weights", "head"}
