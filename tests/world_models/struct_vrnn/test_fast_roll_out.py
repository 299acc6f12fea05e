"""The fast way to follow candidates must say what the plain one says."""

import pytest
import torch

from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics
from world_models.struct_vrnn.fast_roll_out import foresee, foresee_rewards, foresee_states
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig

ROWS, AHEAD, ACTIONS = 3, 5, 2


def build(stochastic=True):
    rng = torch.Generator().manual_seed(0)
    dynamics = KeypointDynamics(DEBUG.model.model_copy(update={"stochastic": stochastic, "actions": ACTIONS}))
    for parameter in dynamics.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=rng)
    sizes = [dynamics.config.hidden, dynamics.config.features]
    belief = Belief(*(torch.randn(ROWS, size, generator=rng) for size in sizes))
    head = RewardHead(RewardHeadConfig(task="t", actions=ACTIONS, hidden_size=sum(sizes), width=6))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=rng)
    seen = torch.randn(20, 4, sum(sizes), generator=rng)
    head.set_scales(1.0 + seen, 2.0 + 3.0 * seen[..., 0])
    return dynamics.requires_grad_(False), belief, head.requires_grad_(False)


def padded():
    actions = torch.rand(ROWS, AHEAD, ACTIONS, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return torch.cat([actions, torch.ones_like(actions)], -1)


@pytest.mark.parametrize("stochastic", [True, False])
def test_states_are_those_of_the_plain_roll_out(stochastic):
    dynamics, belief, _ = build(stochastic)
    plain, fast = dynamics.imagine(belief, padded()), foresee_states(dynamics, belief, padded())
    for name in ("features", "hidden", "carried"):
        torch.testing.assert_close(getattr(fast, name), getattr(plain, name), rtol=1e-5, atol=1e-5)
    assert torch.equal(fast.features, foresee(dynamics, belief, padded()))


def test_rewards_are_those_of_the_head_that_goes_on_from_its_memory():
    dynamics, belief, head = build()
    seen, ahead = foresee_states(dynamics, belief, padded()).carried.split([2, AHEAD - 2], 1)
    _, memory = head(seen)
    plain, _ = head(ahead, memory)
    fresh, _ = head(ahead)
    torch.testing.assert_close(foresee_rewards(head, ahead, memory), plain, rtol=1e-5, atol=1e-5)
    assert (fresh - plain).abs().max() > 0.01


def test_half_precision_stays_close_and_answers_in_single():
    dynamics, belief, head = build()
    memory = torch.zeros(ROWS, 2, 6)
    plain = foresee_states(dynamics, belief, padded())
    with torch.autocast("cpu", torch.bfloat16):
        half = foresee_states(dynamics, belief, padded())
        rewards = foresee_rewards(head, plain.carried, memory)
    expected = foresee_rewards(head, plain.carried, memory)
    assert half.carried.dtype == rewards.dtype == torch.float32
    torch.testing.assert_close(half.carried, plain.carried, rtol=0.0, atol=0.1)
    torch.testing.assert_close(rewards, expected, rtol=0.0, atol=0.1)
    assert not torch.equal(rewards, expected)
