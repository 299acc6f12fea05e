"""The control model: what it reads, rolls out, proposes and keeps."""

import pytest
import torch
from pydantic import ValidationError

from world_models.checkpoint import write_model
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control.config import ControlConfig, ControlSizes
from world_models.struct_vrnn.control.detector.features import detect, measure, stack
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.control.networks import Ensemble, simplices
from world_models.struct_vrnn.model import StructVRNN

TINY = ControlConfig(
    task="cart", detector="abc", actions=2, measured=4, width=8, latent=16, bins=7, most_reward=2.0
)
EYE = StructVRNNConfig(
    image_size=16, widths=(0, 4, 8), keypoints=3, bodies=("cart", "tip"), latent=2, hidden=8
)


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(config=TINY):
    """A model whose heads say something, unlike those of a new one."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        model = Control(config)
        for head in (model.reward, model.critics):
            torch.nn.init.normal_(head.weights[-1])
    return model.eval().requires_grad_(False)


def test_what_is_read_is_places_changes_and_actions():
    measured = torch.tensor([[[1.0], [3.0], [8.0], [6.0]]])
    actions = torch.tensor([[[0.1], [0.2], [0.3]]])
    assert stack(measured, actions, 3)[0].tolist() == [
        pytest.approx([1, 0, 0, 0, 0]),
        pytest.approx([3, 0, 2, 0, 0.1]),
        pytest.approx([8, 2, 5, 0.1, 0.2]),
        pytest.approx([6, 5, -2, 0.2, 0.3]),
    ]
    assert torch.equal(stack(measured, actions, 1), measured)


def test_measurements_are_bodies_in_pixels_and_weighed_keypoints():
    world = StructVRNN(EYE).eval().requires_grad_(False)
    features = detect(world, torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    both = measure(world, features, ("bodies", "keypoints"))
    assert both.shape == (5, 2 * 2 + 3 * 3)
    torch.testing.assert_close(both[:, :4] * 8 + 7.5, world.places(features).flatten(1))
    torch.testing.assert_close(both[:, 4:] / 4, world.weigh(features)[:, :9])
    assert torch.equal(measure(world, features, ("keypoints",)), both[:, 4:])
    blind = StructVRNN(EYE.model_copy(update={"bodies": ()}))
    with pytest.raises(ValueError, match="knows no bodies"):
        measure(blind, features[:, :9], ("bodies",))


def test_latents_are_groups_of_shares():
    shares = simplices(torch.tensor([[0.0, 0.0, 100.0, 0.0]]), 2)
    assert shares[0].tolist() == pytest.approx([0.5, 0.5, 1.0, 0.0], abs=1e-4)
    latent = make().encode(draw(3, TINY.inputs))
    torch.testing.assert_close(latent.unflatten(-1, (-1, 8)).sum(-1), torch.ones(3, 2))


def test_an_ensemble_is_its_members_one_by_one():
    both, inputs = Ensemble(2, 3, 8, 5), draw(4, 3)
    torch.nn.init.normal_(both.weights[-1])
    for member in range(2):
        one = Ensemble(1, 3, 8, 5)
        one.load_state_dict({name: value[member : member + 1] for name, value in both.state_dict().items()})
        torch.testing.assert_close(one(inputs)[0], both(inputs)[member])


def test_a_roll_out_is_step_by_step_and_rewards_are_in_the_tasks_unit():
    model, latent, actions = make(), make().encode(draw(3, TINY.inputs)), draw(3, 4, 2, seed=2).clamp(-1, 1)
    rewards, latents = model.roll_out(latent, actions)
    for step in range(4):
        logits = model.reward(torch.cat([latent, actions[:, step]], -1))[0]
        torch.testing.assert_close(rewards[:, step], 2 * (torch.softmax(logits, -1) @ model.bins))
        latent = model.step(latent, actions[:, step])
        torch.testing.assert_close(latents[:, step], latent)
    assert rewards.std() > 0.01 and (rewards >= 0).all() and (rewards <= 2).all()


def test_a_new_model_values_everything_alike():
    model = Control(TINY)
    expected = float(model.bins.mean()) * 2.0 / (1 - 0.98)
    torch.testing.assert_close(model.value(model.encode(draw(3, TINY.inputs))), torch.full((3,), expected))


def test_proposals_follow_the_policy_and_its_noise():
    model = make()
    latent = model.encode(draw(2, TINY.inputs))
    plain, noise = model.propose(latent, torch.zeros(2, 3, 2)), 0.05 * draw(2, 3, 2, seed=4)
    torch.testing.assert_close(plain[:, 0], model.act(latent))
    torch.testing.assert_close(plain[:, 1], model.act(model.step(latent, plain[:, 0])))
    torch.testing.assert_close(model.propose(latent, noise)[:, 0], (plain[:, 0] + noise[:, 0]).clamp(-1, 1))
    assert model.propose(latent, 100 * noise).abs().max() <= 1


def test_scales_come_from_data_and_what_was_never_seen_is_clamped():
    model, inputs = make(), 5.0 + 2.0 * draw(100, TINY.inputs)
    inputs[:, 0] = 3.0
    model.set_scales(inputs)
    torch.testing.assert_close(model.input_mean, inputs.mean(0), rtol=1e-3, atol=0)
    assert model.input_scale[0] == pytest.approx(0.01, rel=1e-3)
    assert torch.equal(model.encode(inputs[:1] + 1e4), model.encode(inputs[:1] + 1e5))


def test_a_stored_model_is_the_same_and_small(tmp_path):
    full = ControlConfig(task="walker-walk", detector="a" * 64, actions=6, measured=60, most_reward=2.0)
    model, inputs = make(full), draw(3, full.inputs)
    write_model(tmp_path / "model", full, model, "")
    stored = Control.load(tmp_path / "model")
    torch.testing.assert_close(stored.encode(inputs), model.encode(inputs), rtol=0, atol=2e-3)
    assert stored.config == full
    assert sum(path.stat().st_size for path in (tmp_path / "model").iterdir()) < 3e6


@pytest.mark.parametrize("sizes", [{"latent": 12}, {"reads": ()}, {"reads": ("bodies", "bodies")}])
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(ValidationError):
        ControlSizes(**sizes)
