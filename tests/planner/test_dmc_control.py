"""Rewards and keypoints of one task as something to search, and controllers built on them."""

from contextlib import nullcontext

import pytest
import torch

from planner import learned, suite_learned
from planner.learned import KeypointModel
from planner.search.cem import CemConfig
from planner.search.costs import KeypointDistance, Return
from planner.search.servo import ServoConfig
from planner.suite_learned import RewardModel, RewardState, goal_controller, reward_controller
from world_models.interface import Context, Future
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig

ROWS, SEEN, AHEAD, ACTIONS = 2, 4, 5, 2
SEARCH = ServoConfig(horizon=3, cem=CemConfig(candidates=4, iterations=2, bound=1.0))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    for module in (learned, suite_learned):
        monkeypatch.setattr(module, "autocast", lambda device: nullcontext())


def spread(module, rng):
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return module.eval().requires_grad_(False)


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


def test_return_is_the_sum_of_the_first_feature():
    cost, features = Return(), torch.tensor([[[1.0, 9.0], [2.0, 9.0]], [[-4.0, 9.0], [0.5, 9.0]]])
    target = cost.target(torch.zeros(2, 3, 8, 8))
    assert cost(Future(features, torch.ones(2, 2)), torch.zeros(2, 2, 1), target).tolist() == [-3.0, 3.5]


def test_keypoints_count_by_scale_and_weight():
    goal = torch.tensor([[0.0, 0.0, 1.0, 0.5, 0.5, 0.5, -1.0, 1.0, 0.0]])
    last = torch.tensor([[0.3, 0.4, 0.2, 0.5, 0.7, 1.0, 1.0, -1.0, 1.0]])
    future = Future(torch.stack([goal, last], 1), torch.tensor([[1.0, 2.0]]))

    def cost(**settings):
        distance = KeypointDistance(lambda frames: goal, **settings)
        return float(distance(future, torch.zeros(1, 2, 1), distance.target(torch.zeros(1, 3, 8, 8))))

    assert cost() == pytest.approx((0.25 + 0.5 * 0.04) / 1.5)
    assert cost(weights=torch.tensor([0.0, 1.0, 1.0])) == pytest.approx(0.04)
    with pytest.raises(ValueError, match="not be negative"):
        cost(weights=torch.tensor([1.0, -1.0, 0.0]))


@pytest.mark.parametrize("build", [reward_controller, goal_controller])
def test_controllers_of_the_shipped_model_act_alike_twice(build):
    controller = build("struct-vrnn-dmc", "reacher-easy", SEARCH)
    seen = Context(context(64).frames[:1], context(64).actions[:1])
    goal = seen.frames[:, 0]
    first, again = (controller.act(seen, goal, None, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.action.shape == (1, ACTIONS) and bool((first.action.abs() <= 1).all())
    assert torch.equal(first.decisions, again.decisions) and torch.equal(first.cost, again.cost)


def test_a_task_without_a_head_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"no reward head for 'hopper-hop'; it has some for acrobot-swingup, "
    ):
        reward_controller("struct-vrnn-dmc", "hopper-hop")
