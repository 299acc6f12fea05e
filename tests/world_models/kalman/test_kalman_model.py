"""The Kalman model: renderer and inference as the paper's equations say, and the contract of world models."""

from dataclasses import replace

import pytest
import torch

from world_models.checkpoint import CheckpointError, write_model
from world_models.interface import Context
from world_models.kalman.bound import lower_bound
from world_models.kalman.config import KalmanConfig
from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.lgssm.filter import predict, update
from world_models.kalman.model import Kalman, KalmanWorld

CONFIG = KalmanConfig(image_size=12, most_objects=3, canvas=32, state=8, filter_size=3)


def random_model(seed=0, config=CONFIG):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        model = Kalman(config)
        for layer in (model.inference.correction, model.inference.log_variance):
            torch.nn.init.normal_(layer.weight, std=0.3)  # zero at first: the state would not matter
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model():
    return random_model()


def squares(batch=2, steps=5, seed=0):
    """White squares of three pixels on black, two per video."""
    rng = torch.Generator().manual_seed(seed)
    frames = torch.zeros(batch, steps, 1, 12, 12)
    for row in range(batch):
        for x, y in torch.randint(0, 6, (2, 2), generator=rng).tolist():
            for t in range(steps):
                frames[row, t, 0, y : y + 3, x + t // 2 : x + t // 2 + 3] = 1.0
    return frames


def test_pictures_are_rendered_by_equations_1_and_2(model):
    places = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1))
    found = model.render(places)
    weights = dict(model.renderer.named_parameters())

    def affine(name, value):
        return weights[f"{name}.weight"] @ value + weights[f"{name}.bias"]

    for row in range(4):
        x = torch.tanh(weights["empty"])
        for n in range(3):
            alpha = torch.sigmoid(affine("mask", places[row, n]))
            x = (1 - alpha) * x + alpha * torch.tanh(affine("contribution", places[row, n]))
        torch.testing.assert_close(found[row].flatten(), affine("paint", x), rtol=1e-4, atol=1e-4)
    assert found.shape == (4, 1, 12, 12)


def test_every_object_is_drawn(model):
    places = torch.zeros(3, 2)
    before = model.render(places)
    for n in range(3):
        moved = places.clone()
        moved[n] = 1.0
        assert (model.render(moved) != before).any()


def test_states_are_updated_by_equation_8(model):
    """With one picture: the state after it is made of the first state, the earlier object's and a glimpse."""
    net, frames = model.inference, squares(batch=1, steps=1)
    seen = []
    hook = net.gates.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0]))
    state = model.infer(frames, 2, careful=False).state[0, :, : CONFIG.state]
    hook.remove()
    before = torch.zeros(CONFIG.state)
    for n in range(2):
        first = net.first[1, n].tanh()
        torch.testing.assert_close(seen[n][: 2 * CONFIG.state], torch.cat([first, before]))
        gate, content = (net.gates.weight @ seen[n] + net.gates.bias).chunk(2)
        gate = gate.sigmoid()
        before = (1 - gate) * before + gate * content.tanh()
        torch.testing.assert_close(state[n], before, rtol=1e-4, atol=1e-5)


def test_the_expected_place_is_the_filters(model):
    """The state that inference goes on from holds the belief about the next frame."""
    inferred = model.infer(squares(steps=4), 2, careful=False)
    dynamics = model.dynamics()
    belief = dynamics.start(2, 2)
    for t in range(4):
        belief = predict(dynamics, update(dynamics, belief, inferred.means[:, :, t])[0], 1).at(0)
    packed = inferred.state[..., CONFIG.state :]
    torch.testing.assert_close(packed[..., :2], belief.log_weights, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(packed[..., 2:10], belief.means.flatten(-2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(packed[..., 10:], belief.covariances.flatten(-3), rtol=1e-4, atol=1e-4)


def test_a_lone_bright_thing_is_found_before_any_training(model):
    frames = torch.zeros(3, 1, 1, 12, 12)
    middles = torch.tensor([[2.0, 3.0], [9.0, 4.0], [5.0, 10.0]])
    for frame, (x, y) in zip(frames, middles.int().tolist(), strict=True):
        frame[0, 0, y - 1 : y + 2, x - 1 : x + 2] = 1.0
    straight = Kalman(CONFIG)  # its correction is zero
    found = straight.to_pixels(straight.infer(frames, 1).means[:, 0, 0])
    torch.testing.assert_close(found, middles, rtol=0, atol=1.0)


def test_the_next_object_gets_what_is_left():
    straight = Kalman(CONFIG)
    frames = torch.zeros(1, 1, 1, 12, 12)
    frames[..., 1:4, 1:4] = 1.0
    frames[..., 7:10, 8:11] = 1.0
    evidence = straight.inference.reader.evidence(frames)[:, 0]
    centre, wide = torch.full((1, 2), -0.5), torch.full((1, 2), 0.7)
    first = straight.inference.reader.look(evidence, centre, wide)
    left = straight.inference.reader.without(evidence, first.place)
    second = straight.inference.reader.look(left, centre, wide)
    torch.testing.assert_close(first.place, torch.tensor([[2.5, 2.5]]) / 6 - 1, rtol=0, atol=0.1)
    torch.testing.assert_close(second.place, torch.tensor([[9.5, 8.5]]) / 6 - 1, rtol=0, atol=0.1)


@pytest.mark.parametrize("objects", [1, 2, 3])
def test_rows_of_a_batch_do_not_influence_each_other(model, objects):
    frames = squares()
    both = model.infer(frames, objects)
    alone = model.infer(frames[:1], objects)
    other = frames.clone()
    other[1] = other[1].flip(-1)
    changed = model.infer(other, objects)
    for name in ("means", "log_variances", "state"):
        torch.testing.assert_close(getattr(both, name)[:1], getattr(alone, name), rtol=1e-4, atol=1e-4)
        assert torch.equal(getattr(both, name)[0], getattr(changed, name)[0])


def test_inference_is_causal_and_sees_every_frame(model):
    frames = squares(steps=4)
    before = model.infer(frames, 2).means
    for t in range(4):
        changed = frames.clone()
        changed[:, t] = changed[:, t].flip(-2)
        after = model.infer(changed, 2).means
        assert torch.equal(after[:, :, :t], before[:, :, :t])
        assert (after[:, :, t] != before[:, :, t]).any()


@pytest.mark.parametrize("first", [1, 3])
def test_inference_goes_on_where_it_stopped(model, first):
    frames = squares(steps=6)
    whole = model.infer(frames, 2)
    start = model.infer(frames[:, :first], 2)
    rest = model.infer(frames[:, first:], 2, start.state)
    torch.testing.assert_close(torch.cat([start.means, rest.means], dim=2), whole.means)
    torch.testing.assert_close(rest.state, whole.state)


def test_frames_that_were_not_seen_move_the_expectation_on_and_widen_it(model):
    seen = model.infer(squares(steps=3), 2).state
    later = model.unseen(seen, 4)
    assert torch.equal(later[..., : CONFIG.state], seen[..., : CONFIG.state])
    dynamics = model.dynamics()
    k, x = dynamics.start_means.shape
    means, expected = (
        state[..., CONFIG.state + k :][..., : k * x].unflatten(-1, (k, x)) for state in (seen, later)
    )
    for _ in range(4):
        means = means @ dynamics.transition.mT + dynamics.force
    torch.testing.assert_close(expected, means)
    before, after = (state[..., -k * x * x :].unflatten(-1, (k, x, x)) for state in (seen, later))
    assert (torch.linalg.eigvalsh(after[..., :2, :2] - before[..., :2, :2]) > 0).all()
    imagined = model.infer(squares(steps=4, seed=1), 2).state
    warmed = model.unseen(seen, 4, imagined)
    assert torch.equal(warmed[..., : CONFIG.state], imagined[..., : CONFIG.state])
    assert torch.equal(warmed[..., CONFIG.state :], later[..., CONFIG.state :])


def test_the_number_of_objects_chooses_the_first_states(model):
    frames = squares(steps=1)
    one, two = (model.infer(frames, objects).means[:, 0] for objects in (1, 2))
    assert (one != two).any()


def test_gradients_reach_every_parameter_and_are_finite():
    model = random_model().train().requires_grad_(True)
    noise = torch.randn(2, 2, 5, 2, generator=torch.Generator().manual_seed(3))
    bound = lower_bound(model, squares(), 2, noise, careful=False)
    (bound.kl - bound.log_pictures).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_place_is_left_to_the_object_that_is_expected_there(model):
    centres = torch.tensor([[[-0.5, 0.0], [0.5, 0.0]]])
    density = model.inference.reader.expectation(centres, torch.full((1, 2, 2), 0.2))
    share = density / density.sum(dim=1, keepdim=True)
    assert share[0, 0, 5, 2] > 0.99 and share[0, 1, 5, 9] > 0.99
    near = torch.full((1, 2, 2), -0.9), torch.full((1, 2, 2), 0.03)
    far = model.inference.reader.expectation(*near)[0, :, -1, -1]
    torch.testing.assert_close(far[0] / far.sum(), torch.tensor(0.5))


def test_care_is_for_several_objects():
    """One alone sees the same with and without; of two that touch, one must not take both."""
    straight = Kalman(CONFIG)
    frames = squares(steps=1)
    careful, quick = (straight.infer(frames, 1, careful=care).means for care in (True, False))
    torch.testing.assert_close(careful, quick)
    reader = straight.inference.reader
    touching = torch.zeros(1, 1, 1, 12, 12)
    touching[..., 4:7, 2:7] = 1.0
    evidence = reader.evidence(touching)[:, 0]
    first = torch.tensor([[3.5, 5.5]]) / 6 - 1
    wide = torch.full((1, 2), 2.0)
    loose, tight = (
        reader.look(reader.without(evidence, first, tight), first, wide) for tight in (False, True)
    )
    assert tight.mass > loose.mass


def test_a_black_picture_gives_finite_numbers(model):
    inferred = model.infer(torch.zeros(1, 3, 1, 12, 12), 3)
    assert all(getattr(inferred, name).isfinite().all() for name in ("means", "log_variances", "state"))


def test_a_saved_model_answers_as_the_one_it_was(model, tmp_path):
    write_model(tmp_path / "model", CONFIG, model, "card")
    loaded = Kalman.load(tmp_path / "model")
    halved = random_model()
    halved.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    places = torch.zeros(1, 2, 2)
    assert torch.equal(loaded.render(places), halved.render(places))
    assert torch.equal(loaded.infer(squares(), 2).means, halved.infer(squares(), 2).means)
    write_model(tmp_path / "other", EDLSTMConfig(), model, "card")
    with pytest.raises(CheckpointError, match="is no KalmanConfig"):
        Kalman.load(tmp_path / "other")


def test_calibration_finds_where_the_renderer_draws():
    """A stand-in renderer draws a disc at a turned, scaled and moved place."""
    model = random_model()
    matrix = torch.tensor([[0.9, 0.3], [-0.2, 1.1]])
    offset = torch.tensor([5.0, 6.5])
    pixel = torch.arange(12.0)

    def draw(places):
        x, y = (places[..., 0, :] @ matrix.mT + offset).unbind(-1)
        distance = (pixel - x[..., None, None]).square() + (pixel[:, None] - y[..., None, None]).square()
        return (4.0 - 3.0 * distance)[..., None, :, :]

    model.renderer.forward = draw
    model.calibrate()
    places = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    torch.testing.assert_close(model.to_pixels(places), places @ matrix.mT + offset, rtol=0, atol=0.1)
    spread = model.spread_to_pixels(torch.eye(2))
    torch.testing.assert_close(spread, matrix @ matrix.mT, rtol=0, atol=0.1)


def test_as_a_world_model(model):
    world = KalmanWorld(model, 2)
    context = Context(squares(), torch.zeros(2, 4, 0))
    state = world.encode(context)
    future = world.imagine(state, torch.zeros(2, 3, 0))
    assert future.features.shape == (2, 3, 4)
    assert future.times.tolist() == [[1, 2, 3]] * 2
    alone = world.imagine(replace(state, means=state.means[1:]), torch.zeros(1, 3, 0))
    torch.testing.assert_close(alone.features, future.features[1:])
    known = model.dynamics()
    after = (state.means @ known.transition.mT + known.force) @ known.emission.mT
    torch.testing.assert_close(future.features[:, 0], after.flatten(-2))
    pictures = world.decode(future.features[:, -1])
    assert pictures.shape == (2, 1, 12, 12) and pictures.min() >= 0 and pictures.max() <= 1
    single = model.infer(context.frames[:, :1], 2).means[:, :, 0]
    assert torch.equal(world.embed(context.frames[:, 0]), single.flatten(1))


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_named(model):
    with pytest.raises(ValueError, match="objects must be 1 to 3, not 4"):
        model.infer(squares(), 4)
    with pytest.raises(ValueError, match="objects must be 1 to 3, not 0"):
        KalmanWorld(model, 0)
    with pytest.raises(ValueError, match=r"frames must be \[B, T >= 1, 1, 12, 12\]"):
        model.infer(torch.zeros(1, 2, 3, 12, 12), 1)
