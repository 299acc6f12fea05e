"""What every arm of Struct-VRNN promises as a world model; weights are random and all non-zero."""

import dataclasses

import pytest
import torch

from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.interface import Context
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.struct_vrnn.dynamics import Belief
from world_models.struct_vrnn.model import State, StructVRNN
from world_models.struct_vrnn.presets import DEBUG, STRUCT_VRNN_PRESETS

SEEN, AHEAD = 3, 4

# The preset of each arm; its debug version has the preset's structure and tiny sizes.
ARMS = {
    "struct-vrnn": "struct-vrnn-dmc",
    "no-bom": "struct-vrnn-dmc-no-bom",
    "struct-rnn": "struct-rnn-dmc",
    "cnn-vrnn": "cnn-vrnn-dmc",
    "agents": "struct-vrnn-agents",
    "paper": "struct-vrnn-dmc-paper",
}
SHIPPED = {arm: STRUCT_VRNN_PRESETS[preset][2].model for arm, preset in ARMS.items()}
driven = pytest.mark.parametrize("model", [arm for arm in ARMS if SHIPPED[arm].actions], indirect=True)
stochastic = pytest.mark.parametrize("model", [arm for arm in ARMS if SHIPPED[arm].stochastic], indirect=True)


def build(arm, seed=0):
    shipped = SHIPPED[arm]
    structural = ("representation", "stochastic", "seen_input", "extra_layers")
    structure = {name: getattr(shipped, name) for name in structural}
    actions = min(shipped.actions, 3)
    widths = (4, 4, 8) if shipped.widths[0] else (0, 4, 8)
    model = StructVRNN(DEBUG.model.model_copy(update=structure | {"actions": actions, "widths": widths}))
    rng = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=rng)
    return model.eval().requires_grad_(False)


@pytest.fixture(params=ARMS)
def model(request):
    return build(request.param)


def context(model, batch=2, seed=1):
    rng = torch.Generator().manual_seed(seed)
    frames = torch.rand(batch, SEEN, 3, 16, 16, generator=rng)
    return Context(frames, torch.rand(batch, SEEN - 1, model.decision_dim, generator=rng) * 2 - 1)


def actions(model, batch=2, seed=2):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(batch, AHEAD, model.decision_dim, generator=rng) * 2 - 1


def noise(model, batch=2, seed=3):
    return torch.randn(batch, AHEAD, model.config.latent, generator=torch.Generator().manual_seed(seed))


def rows(value, row):
    """One row of every tensor of a dataclass."""
    parts = {field.name: getattr(value, field.name)[row : row + 1] for field in dataclasses.fields(value)}
    return dataclasses.replace(value, **parts)


def parts(value):
    return [getattr(value, field.name) for field in dataclasses.fields(value)]


def test_rows_of_a_batch_are_independent(model):
    """Up to rounding: products of one row and of many are summed in another order."""
    seen, decisions, draws = context(model), actions(model), noise(model)
    state = model.encode(seen)
    both = model.roll_out(state, decisions, draws)
    reference = model.reference(seen.frames[:, 0])
    pictures = model.decode(both.features[:, -1], reference)
    for row in range(2):
        alone = model.encode(rows(seen, row))
        single = model.roll_out(alone, decisions[row : row + 1], draws[row : row + 1])
        own = model.decode(single.features[:, -1], model.reference(seen.frames[row : row + 1, 0]))
        found = (*parts(alone), *parts(single), own)
        expected = (*parts(rows(state, row)), *parts(rows(both, row)), pictures[row : row + 1])
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_a_row_does_not_notice_what_the_others_are(model):
    """Bit for bit: with the batch's size the same, another row's content is nobody else's business."""
    seen, decisions, draws = context(model), actions(model), noise(model)
    frames = seen.frames.clone()
    frames[1] = 1.0 - frames[1]
    before = model.roll_out(model.encode(seen), decisions, draws)
    after = model.roll_out(model.encode(dataclasses.replace(seen, frames=frames)), decisions, draws)
    assert torch.equal(after.features[0], before.features[0])
    assert torch.equal(after.hidden[0], before.hidden[0])
    assert (after.features[1] != before.features[1]).any()


@driven
def test_an_action_changes_its_frame_and_later_ones_only(model):
    """``decisions[:, t]`` leads to imagined frame ``t``: not earlier, and not one frame late."""
    state, decisions = model.encode(context(model)), actions(model)
    before = model.roll_out(state, decisions)
    for t in range(AHEAD):
        changed = decisions.clone()
        changed[:, t] += 0.5
        after = model.roll_out(state, changed)
        assert torch.equal(after.features[:, :t], before.features[:, :t])
        assert torch.equal(after.hidden[:, :t], before.hidden[:, :t])
        for later in range(t, AHEAD):
            assert (after.features[:, later] != before.features[:, later]).any(-1).all()
            assert (after.hidden[:, later] != before.hidden[:, later]).any(-1).all()


@driven
def test_a_past_action_influences_the_frame_it_led_to(model):
    seen = context(model)
    before = model.encode(seen).carried
    for t in range(SEEN - 1):
        changed = seen.actions.clone()
        changed[:, t] += 0.5
        after = model.encode(Context(seen.frames, changed)).carried
        assert torch.equal(after[:, : t + 1], before[:, : t + 1])
        assert all((after[:, later] != before[:, later]).any(-1).all() for later in range(t + 1, SEEN))


def test_seeing_is_causal(model):
    seen = context(model)
    before = model.encode(seen).carried
    frames = seen.frames.clone()
    frames[:, 1] = 1.0 - frames[:, 1]
    after = model.encode(Context(frames, seen.actions)).carried
    assert torch.equal(after[:, 0], before[:, 0])
    assert (after[:, 1:] != before[:, 1:]).any(-1).all()


@stochastic
def test_a_draw_changes_its_frame_and_later_ones_only(model):
    state, decisions, draws = model.encode(context(model)), actions(model), noise(model)
    before = model.roll_out(state, decisions, draws).features
    for t in range(AHEAD):
        changed = draws.clone()
        changed[:, t] += 1.0
        after = model.roll_out(state, decisions, changed).features
        assert torch.equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(-1).all()


def test_the_same_arguments_give_the_same_answer(model):
    seen, decisions = context(model), actions(model)
    first, again = (model.imagine(model.encode(seen), decisions) for _ in range(2))
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.times, torch.tensor([[1.0, 2.0, 3.0, 4.0]]).expand(2, -1))


def test_imagining_follows_the_means(model):
    state, decisions = model.encode(context(model)), actions(model)
    future = model.imagine(state, decisions)
    assert future.features.shape == (2, AHEAD, model.config.features)
    means, still, sample = (
        model.roll_out(state, decisions, draws).features
        for draws in (None, torch.zeros_like(noise(model)), noise(model))
    )
    assert torch.equal(means, still) and torch.equal(means, sample) != model.config.stochastic
    torch.testing.assert_close(future.features, means, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.imagine(state, decisions)
    assert half.features.dtype == torch.float32
    torch.testing.assert_close(half.features, means, rtol=0.0, atol=0.1)


def test_a_roll_out_can_be_continued_where_it_ended(model):
    """``State`` holds all that is remembered; the network itself remembers nothing."""
    state, decisions = model.encode(context(model)), actions(model)
    whole = model.roll_out(state, decisions)
    first = model.dynamics.imagine(Belief(state.hidden, state.features), model.pad(decisions[:, :1]))
    middle = State(first.last.hidden, first.last.features, first.carried)
    rest = model.roll_out(middle, decisions[:, 1:])
    torch.testing.assert_close(rest.features, whole.features[:, 1:], rtol=1e-5, atol=1e-5)


def test_imagining_follows_the_equations(model):
    """Eq. 1, 3 and 4 one frame at a time, from the parts that training uses."""
    dynamics, state, draws = model.dynamics, model.encode(context(model)), noise(model)
    belief = Belief(state.hidden, state.features)
    padded = model.pad(actions(model))
    found = model.roll_out(state, actions(model), draws)
    for t in range(AHEAD):
        known = dynamics.known(belief, padded[:, t])
        latent = known.new_zeros(2, 0)
        if model.config.stochastic:
            mean, log_variance = dynamics.prior(known)
            latent = mean + (0.5 * log_variance).exp() * draws[:, t]
        belief = dynamics.advance(belief, dynamics.decode(belief, known, latent), latent, padded[:, t])
        expected = model.unweigh(belief.features)
        torch.testing.assert_close(found.features[:, t], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.hidden[:, t], belief.hidden, rtol=1e-5, atol=1e-5)


def test_seeing_follows_the_equations(model):
    """Eq. 2 to 4 with the posterior's means; what the recurrence is fed is the arm's choice."""
    dynamics, past = model.dynamics, context(model).actions
    features = torch.rand(2, SEEN, model.config.features, generator=torch.Generator().manual_seed(4))
    found, weighed, padded = model.take_in(features, past), model.weigh(features), model.pad(past)
    belief = dynamics.start(2, features.device)
    for t in range(SEEN):
        action = padded[:, t - 1] if t else torch.zeros(2, padded.shape[-1])
        known = dynamics.known(belief, action)
        latent = known.new_zeros(2, 0)
        if model.config.stochastic:
            latent = dynamics.posterior(known, weighed[:, t])[0]
        decoded = dynamics.decode(belief, known, latent)
        direct = model.config.seen_input == "detected" or not model.config.stochastic
        belief = dynamics.advance(belief, weighed[:, t] if direct else decoded, latent, action)
        carried = torch.cat([belief.hidden, belief.features], -1)
        torch.testing.assert_close(found.carried[:, t], carried, rtol=1e-5, atol=1e-5)


def test_faint_keypoints_weigh_little_and_weighing_can_be_undone(model):
    features = torch.tensor([0.5, -1.0, 1.0, -0.25, 0.5, 0.1]).repeat(1, model.config.features // 6)
    weighed = model.weigh(features)
    if model.vision.structured:
        assert weighed[0, :6].tolist() == pytest.approx([0.5, -1.0, 1.0, -0.025, 0.05, 0.1])
    torch.testing.assert_close(model.unweigh(weighed), features)


def test_encoding_is_taking_embeddings_in(model):
    seen = context(model)
    features = model.embed(seen.frames.flatten(0, 1)).unflatten(0, (2, SEEN))
    state, expected = model.encode(seen), model.take_in(features, seen.actions)
    assert all(torch.equal(a, b) for a, b in zip(parts(state), parts(expected), strict=True))
    assert state.carried.shape == (2, SEEN, model.config.hidden + model.config.features)
    assert torch.equal(state.carried[:, -1], torch.cat([state.hidden, state.features], -1))


def test_edited_features_propagate(model):
    """Section 5.4: move one keypoint in the past, and the future is another one, of other keypoints too."""
    seen = context(model)
    features = model.embed(seen.frames.flatten(0, 1)).unflatten(0, (2, SEEN))
    edited = features.clone()
    edited[0, :, 0] += 0.3
    decisions = actions(model)
    before = model.imagine(model.take_in(features, seen.actions), decisions).features
    after = model.imagine(model.take_in(edited, seen.actions), decisions).features
    assert (after[0, :, 3:] != before[0, :, 3:]).any(-1).all()
    assert torch.equal(after[1], before[1])


def test_states_can_be_repeated(model):
    state = model.encode(context(model))
    wide = model.imagine(state.repeat(3), actions(model).repeat_interleave(3, 0)).features
    narrow = model.imagine(state, actions(model)).features
    torch.testing.assert_close(wide, narrow.repeat_interleave(3, 0), rtol=1e-5, atol=1e-5)


@driven
def test_an_absent_actuator_is_told_from_one_at_rest(model):
    seen, most = context(model), model.decision_dim
    narrow = Context(seen.frames, seen.actions[..., :1])
    wide = Context(seen.frames, torch.cat([narrow.actions, torch.zeros(2, SEEN - 1, most - 1)], -1))
    assert (model.encode(narrow).hidden != model.encode(wide).hidden).any(-1).all()
    padded = model.pad(torch.tensor([[0.25]]))
    assert padded.tolist() == [[0.25, *[0.0] * (most - 1), 1.0, *[0.0] * (most - 1)]]
    assert (model.pad(torch.zeros(1, most))[:, most:] == 1.0).all()


def test_too_many_actuators_are_refused(model):
    most = model.decision_dim
    state = model.encode(context(model))
    with pytest.raises(ValueError, match=f"actions have {most + 1} numbers, .* at most {most}"):
        model.imagine(state, torch.zeros(2, AHEAD, most + 1))


def test_a_saved_model_is_the_same_model(model, tmp_path):
    """Weights are stored in half precision; with weights that already are, it is the same bit for bit."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    digest = write_model(tmp_path / "model", model.config, model, "card")
    loaded = StructVRNN.load(tmp_path / "model")
    assert loaded.config == model.config and not any(p.requires_grad for p in loaded.parameters())
    seen, decisions, draws = context(model), actions(model), noise(model)
    ends = []
    for each in (model, loaded):
        rollout = each.roll_out(each.encode(seen), decisions, draws)
        pictures = each.decode(rollout.features[:, -1], each.reference(seen.frames[:, 0]))
        ends.append((*parts(rollout), pictures))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert write_model(tmp_path / "again", loaded.config, loaded, "card") == digest


def test_another_kind_of_model_is_not_loaded(model, tmp_path):
    write_model(tmp_path / "model", KEYIN_DEBUG.model, model, "")
    assert read_model(tmp_path / "model").config["kind"] == "keyin"
    with pytest.raises(CheckpointError, match="no StructVRNNConfig"):
        StructVRNN.load(tmp_path / "model")
