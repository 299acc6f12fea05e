"""What Struct-VRNNs predict for one task, as something to search in."""

from contextlib import nullcontext

import pytest
import torch

from planner.low_levels import dynamics
from planner.low_levels.dynamics import KeypointModel, PlaceModel, RewardModel, RewardState
from planner.search.costs import Return
from world_models.interface import Context
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig

ROWS, SEEN, AHEAD, ACTIONS = 2, 4, 5, 2


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr(dynamics, "autocast", lambda device: nullcontext())


def spread(module, rng):
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return module.eval().requires_grad_(False)


def tracking_model(**changes):
    config = DEBUG.model.model_copy(update={"actions": ACTIONS, **changes})
    return spread(StructVRNN(config), torch.Generator().manual_seed(0))


def reward_model():
    rng = torch.Generator().manual_seed(0)
    world = spread(StructVRNN(DEBUG.model.model_copy(update={"actions": 3})), rng)
    size = world.config.hidden + world.config.features
    head = spread(RewardHead(RewardHeadConfig(task="t", actions=ACTIONS, hidden_size=size, width=6)), rng)
    return RewardModel(world, head)


def context(size=16):
    rng = torch.Generator().manual_seed(1)
    frames = torch.rand(ROWS, SEEN, 3, size, size, generator=rng)
    return Context(frames, torch.rand(ROWS, SEEN - 1, ACTIONS, generator=rng) * 2 - 1)


def decisions():
    return torch.rand(ROWS, AHEAD, ACTIONS, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_rewards_are_what_the_head_says_of_seen_and_then_imagined_frames():
    model, seen, ahead = reward_model(), context(), decisions()
    future = model.imagine(model.encode(seen), ahead)
    state = model.world.encode(seen)
    carried = torch.cat([state.carried, model.world.roll_out(state, ahead).carried], 1)
    rewards, _ = model.head(carried)
    torch.testing.assert_close(future.features[..., 0], rewards[:, SEEN:], rtol=1e-5, atol=1e-5)
    assert torch.equal(future.times[1], torch.arange(1.0, AHEAD + 1))


def test_rewards_depend_on_earlier_actions_only_and_on_their_own_row():
    model, ahead = reward_model(), decisions()
    state = model.encode(context())
    before, changed = model.imagine(state, ahead).features, ahead.clone()
    changed[0, 2] += 0.5
    after = model.imagine(state, changed).features
    assert torch.equal(after[:, :2], before[:, :2]) and torch.equal(after[1], before[1])
    assert (after[0, 2:] != before[0, 2:]).all()


def test_returns_have_a_gradient_that_says_which_way_they_grow():
    model, ahead = reward_model(), decisions().requires_grad_()
    state = model.encode(context())
    state = RewardState(*(part.clone() for part in vars(state).values()))
    cost = -Return()(model.imagine(state, ahead), ahead, torch.zeros(ROWS, 0)).sum()
    (slope,) = torch.autograd.grad(cost, ahead)
    nudge = 1e-2 * slope / slope.norm()
    higher, lower = (model.imagine(state, ahead.detach() + way * nudge).features.sum() for way in (1.0, -1.0))
    assert float(higher - lower) == pytest.approx(2e-2 * float(slope.norm()), rel=0.01)


def test_keypoints_are_those_of_the_world_model():
    world = reward_model().world
    model = KeypointModel(world, ACTIONS)
    found = model.imagine(model.encode(context()), decisions())
    expected = world.imagine(world.encode(context()), decisions())
    torch.testing.assert_close(found.features, expected.features, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.times, expected.times) and model.decision_dim == ACTIONS


def test_places_are_those_of_the_bodies_named_in_their_order():
    world = tracking_model(bodies=("puck", "wall", "finger"))
    model, seen = PlaceModel(world, ("finger", "puck")), context()
    known = world.places(world.embed(seen.frames[:, 0]))
    assert torch.equal(model.locate(seen.frames[:, 0]), known[:, [2, 0]].flatten(1))
    found = model.imagine(model.encode(seen), decisions())
    expected = world.places(world.imagine(world.encode(seen), decisions()).features)[:, :, [2, 0]]
    torch.testing.assert_close(found.features, expected.flatten(2), rtol=1e-5, atol=1e-5)
    assert model.decision_dim == ACTIONS


def test_bodies_that_a_model_does_not_know_are_refused():
    with pytest.raises(ValueError, match=r"knows cart, finger, not puck"):
        PlaceModel(tracking_model(bodies=("cart", "finger")), ("puck", "finger"))
    with pytest.raises(ValueError, match="no bodies"):
        PlaceModel(tracking_model(bodies=()), ("puck", "finger"))
