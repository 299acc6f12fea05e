"""The losses of control models against values computed by hand."""

import math

import pytest
import torch

from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.learner import Learner
from world_models.struct_vrnn.control.losses import (
    Windows,
    control_loss,
    cross_entropy,
    explore,
    policy_worth,
    returns,
    two_hot,
)
from world_models.struct_vrnn.control.recipe import ControlRecipe

CONFIG = ControlConfig(
    task="cart", detector="", actions=1, measured=2, width=8, latent=8, bins=5, discount=0.9
)
BINS = torch.linspace(0, 1, 5).square()
RECIPE = ControlRecipe(batch=3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_learner():
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(seeded().get_state())
        return Learner(CONFIG)


def windows(length=4, batch=3):
    rng = seeded(5)
    return Windows(
        torch.randn(length + 1, batch, CONFIG.inputs, generator=rng),
        torch.rand(length, batch, 1, generator=rng),
        torch.rand(length, batch, generator=rng),
    )


def test_two_bins_share_a_value():
    shares = two_hot(torch.tensor([0.0, 1.0, 0.25, 0.125, 3.0, -1.0]), BINS)  # bins 0, 1/16, 1/4, 9/16, 1
    torch.testing.assert_close(shares @ BINS, torch.tensor([0.0, 1.0, 0.25, 0.125, 1.0, 0.0]))
    assert shares[3].tolist() == pytest.approx([0, 2 / 3, 1 / 3, 0, 0])
    torch.testing.assert_close(shares.sum(-1), torch.ones(6))
    assert ((shares > 0).sum(-1) <= 2).all()


def test_cross_entropy_is_that_of_every_head():
    target = two_hot(torch.tensor([0.25, 0.125]), BINS)
    logits = torch.randn(2, 2, 5, generator=seeded())
    expected = -(target * torch.softmax(logits, -1).log()).sum(-1)
    torch.testing.assert_close(cross_entropy(logits, target), expected)


def test_values_are_told_recorded_rewards_and_the_least_expected_of_the_rest():
    learner, rewards = make_learner(), windows().rewards
    # One target network is sure of 9/16, the other of 1/4, whatever they see.
    for member, bin in ((0, 3), (1, 2)):
        learner.targets.biases[-1].data[member, 0] = -1e4
        learner.targets.biases[-1].data[member, 0, bin] = 1e4
    found = returns(learner, torch.rand(2, 3, 8, generator=seeded()), rewards, 3, 0.1, seeded())
    for t in range(2):
        recorded = rewards[t] + 0.9 * rewards[t + 1] + 0.81 * rewards[t + 2]
        torch.testing.assert_close(found[t], 0.1 * recorded + 0.729 * 0.25)


def test_the_whole_loss_of_a_new_model():
    """Heads that answer zero give every bin the same share."""
    learner, given = make_learner(), windows()
    loss = control_loss(learner, given, RECIPE, 0.3, seeded())
    blind, mean = (1 + 0.7) / 2 * math.log(5), float(BINS.mean())
    model, apart = learner.model, 0.0
    latent = model.encode(given.inputs[0])
    for t in range(2):
        latent = model.step(latent, given.actions[t])
        apart += 0.7**t / 2 * float((latent - model.encode(given.inputs[t + 1])).detach().square().mean())
    parts = {name: float(value.detach()) for name, value in loss.logs.items()}
    assert parts["reward"] == pytest.approx(blind, rel=1e-5)
    assert parts["value"] == pytest.approx(blind, rel=1e-5)
    assert parts["consistency"] == pytest.approx(apart, rel=1e-4) and apart > 1e-4
    assert parts["policy"] == pytest.approx(-mean * (1 + 0.7 + 0.49) / 3 / 0.1, rel=1e-5)
    assert parts["worth"] == pytest.approx(mean, rel=1e-5)
    total = 20 * apart + 0.5 * blind + 0.5 * blind + 0.1 * parts["policy"]
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-4)


def test_the_policy_alone_learns_from_its_own_loss():
    learner = make_learner()
    torch.nn.init.normal_(learner.model.critics.weights[-1])
    recipe = RECIPE.model_copy(update={"consistency": 0.0, "reward": 0.0, "value": 0.0})
    control_loss(learner, windows(), recipe, 0.1, seeded()).total.backward()
    moved = {
        name.split(".")[1]
        for name, value in learner.named_parameters()
        if value.grad is not None and value.grad.abs().max() > 0
    }
    assert moved == {"policy"}


def test_every_part_of_the_model_learns_and_targets_do_not():
    learner = make_learner()
    for head in (learner.model.reward, learner.model.critics):
        torch.nn.init.normal_(head.weights[-1])
    control_loss(learner, windows(), RECIPE, 0.1, seeded()).total.backward()
    assert all(value.grad is not None for value in learner.model.parameters())
    assert all(value.grad is None for value in learner.targets.parameters())


def test_the_policy_follows_the_value():
    learner = make_learner()
    torch.nn.init.normal_(learner.model.critics.weights[-1], std=3.0, generator=seeded())
    latents = torch.rand(64, 8, generator=seeded())
    optimizer = torch.optim.Adam(learner.model.policy.parameters(), lr=1e-2)

    def worth():
        return policy_worth(learner.model, latents, 0.0, seeded()).mean()

    before = worth().detach()
    for _ in range(30):
        optimizer.zero_grad()
        (-worth()).backward()
        optimizer.step()
    assert worth() > before + 0.01


def test_noise_is_clamped():
    actions = torch.zeros(10_000, 1)
    noisy = explore(actions, 0.5, seeded())
    assert noisy.abs().max() == pytest.approx(0.3)
    assert explore(actions, 0.1, seeded()).std() == pytest.approx(0.1, rel=0.05)
    assert explore(torch.full((100, 1), 0.95), 0.5, seeded()).max() == 1.0


def test_targets_follow_slowly_and_the_spread_is_remembered():
    learner = make_learner()
    slow, fast = learner.targets.weights[0], learner.model.critics.weights[0]
    fast.data += 1.0
    learner.follow(0.25)
    torch.testing.assert_close(fast - slow, torch.full_like(slow, 0.75))
    learner.note_spread(torch.linspace(0, 1, 101))
    assert float(learner.spread) == pytest.approx(0.99 * 0.1 + 0.01 * 0.9)
    learner.note_spread(torch.zeros(10))
    assert float(learner.spread) == pytest.approx(0.99 * (0.099 + 0.009) + 0.01 * 0.01)


def test_the_noise_of_the_policy_falls_over_the_first_third():
    recipe = ControlRecipe(steps=300)
    assert [recipe.noise(step) for step in (0, 50, 100, 299)] == pytest.approx([0.5, 0.3, 0.1, 0.1])
    assert recipe.rate(0) == recipe.rate(299) == 1e-3
    assert (recipe.share("model.encoder.0.weight"), recipe.share("model.policy.0.weight")) == (0.5, 1.0)
