"""The published equations: who sees what, what the losses sum, how the rate falls; joint runs resume."""

import numpy as np
import pytest
import torch

from world_models.checkpoint import read_model
from world_models.data import Sequences, shard_path, write_shard
from world_models.interface import Context
from world_models.struct_vrnn.fast_roll_out import foresee_states
from world_models.struct_vrnn.losses import Sampling, sequence_loss
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG, DMC, DMC_PAPER, PAPER
from world_models.struct_vrnn.recipe import StructVRNNRecipe, StructVRNNRun, VisionStage
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.struct_vrnn.sequences import Known
from world_models.struct_vrnn.training import vision_loss
from world_models.training import fit

CONFIG = DEBUG.model.model_copy(update={"published": True})


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_model(config=CONFIG):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        return StructVRNN(config).eval()


def test_of_the_past_the_heads_see_the_recurrent_state_alone():
    dynamics = make_model().dynamics
    belief = dynamics.start(3, torch.device("cpu"))
    moved = type(belief)(belief.hidden, belief.features + 1.0)
    known = dynamics.known(belief, draw(3, 4))
    assert torch.equal(known, dynamics.known(moved, draw(3, 4, seed=1)))
    latents = draw(5, 3, 2)
    frames = dynamics.decode_samples(belief, known, latents)
    assert torch.equal(frames, dynamics.decode_samples(moved, known, latents))  # no change since the last one
    torch.testing.assert_close(frames[2], dynamics.decode(belief, known, latents[2]))
    assert all(isinstance(net[1], torch.nn.ReLU) for net in (dynamics.decoder, dynamics.prior_head.net))
    mean, log_variance = dynamics.prior(known)
    assert mean.shape == log_variance.shape == (3, 2) and bool((log_variance > -20).all())


def test_an_action_acts_from_the_frame_after_the_one_it_leads_to():
    model = make_model()
    features, actions = draw(2, 3, 12), draw(2, 6, 2)
    state = model.take_in(features, actions[:, :2])
    before = model.imagine(state, actions[:, 2:]).features
    other = actions[:, 2:].clone()
    other[:, 1] += 1.0
    changed = (model.imagine(state, other).features != before).any(2).any(0)
    assert changed.tolist() == [False, False, True, True]


def test_the_fast_roll_out_goes_the_slow_way():
    model = make_model()
    state = model.take_in(draw(2, 3, 12), draw(2, 2, 2))
    slow = model.roll_out(state, draw(2, 4, 2, seed=2))
    assert torch.equal(model.imagine(state, draw(2, 4, 2, seed=2)).features, slow.features)
    belief = model.dynamics.start(2, torch.device("cpu"))
    assert foresee_states(model.dynamics, belief, model.pad(draw(2, 4, 2))).carried.shape == (2, 4, 8 + 12)


def test_the_generator_sees_no_pixels_and_the_dynamics_plain_coordinates(tmp_path):
    model, shipped = make_model(), make_model(DEBUG.model)
    first = model.vision.fine[0].weight.shape[1]
    assert first == shipped.vision.fine[0].weight.shape[1] - 12
    features = draw(4, 12)
    assert torch.equal(model.weigh(features), features) and torch.equal(model.unweigh(features), features)
    pictures = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = model.encode(Context(pictures, draw(2, 2, 2)))
    assert seen.carried.shape == (2, 3, 8 + 12)
    assert model.decode(model.embed(pictures[:, 0]), model.reference(pictures[:, 0])).shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="leave out bodies or published"):
        type(CONFIG).model_validate(CONFIG.model_dump() | {"bodies": ("puck",)})


@pytest.mark.parametrize("learns", [False, True])
def test_errors_of_predicted_frames_train_the_prior_where_asked(learns):
    model = make_model()
    sampling = Sampling(observed=2, samples=3, own_seen=0.0, own_future=1.0, prior_learns=learns)
    loss = sequence_loss(
        model.dynamics, draw(4, 5, 12), model.pad(draw(4, 4, 2)), sampling, torch.Generator().manual_seed(0)
    )
    loss.future.backward()
    gradients = [parameter.grad for parameter in model.dynamics.prior_head.parameters()]
    assert any(g is not None and bool(g.abs().sum() > 0) for g in gradients) == learns


def test_the_error_of_pictures_is_summed_over_frames():
    frames = np.random.default_rng(0).integers(0, 256, (4, 5, 16, 16, 3)).astype(np.uint8)
    known = Known([frames], [np.zeros((4, 5, 1, 2), np.float32)])
    stage = VisionStage(steps=2, batch=3, frames=2, foreign=0.0)
    halved, summed = (
        vision_loss(
            make_model().vision,
            known,
            stage.model_copy(update={"summed": summed}),
            torch.device("cpu"),
            torch.Generator().manual_seed(0),
        ).logs["image"]
        for summed in (False, True)
    )
    assert float(summed.detach()) == pytest.approx(4 * float(halved.detach()), rel=1e-5)


def test_the_rate_is_halved_and_gradients_are_not_clipped():
    schedule = PAPER.vision.schedule()
    assert [schedule.rate(step) for step in (0, 3_599, 3_600, 11_999)] == [1e-3, 1e-3, 5e-4, 1.25e-4]
    assert schedule.largest_gradient == float("inf")
    assert DMC.vision.schedule() is DMC.vision


def test_the_preset_is_the_column_of_the_table_at_a_quarter_of_the_width():
    assert PAPER.joint and PAPER.model.published and PAPER.held_out == DMC.held_out
    assert PAPER.model.tasks == DMC.model.tasks and PAPER.model.seen_input == "decoded"
    changed = {
        name
        for name in type(PAPER.model).model_fields
        if getattr(PAPER.model, name) != getattr(DMC_PAPER.model, name)
    }
    assert changed == {"widths"}
    assert PAPER.vision.summed and PAPER.dynamics.prior_learns and PAPER.vision.foreign == 0.0
    read = StructVRNNRecipe.model_validate(PAPER.model_dump(mode="json"))
    assert read == PAPER


def test_recipes_without_these_settings_are_known_again():
    stored = DMC.model_dump(mode="json")
    assert not {"published"} & stored["model"].keys()
    assert not {"summed", "halved"} & stored["vision"].keys() and "prior_learns" not in stored["dynamics"]
    assert StructVRNNRecipe.model_validate(stored) == DMC


def write_data(folder):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 7, 16, 16, 3)).astype(np.uint8)
    actions = rng.uniform(-1, 1, (5, 6, 2)).astype(np.float32)
    sequences = Sequences(frames, actions, np.zeros((5, 7), bool), np.zeros((5, 7, 1), np.float32))
    write_shard(shard_path(folder, 0), sequences, {"seed": 0})


def joint_recipe(**vision):
    changed = DEBUG.vision.model_copy(update={"summed": True, "halved": 1, "foreign": 0.0, **vision})
    return DEBUG.model_copy(update={"joint": True, "model": CONFIG, "vision": changed})


def test_a_joint_run_may_look_at_fewer_sequences_than_there_are(tmp_path):
    write_data(tmp_path / "data")
    recipe = joint_recipe(sequences=1)
    folder = train_struct_vrnn(
        StructVRNNRun(data=tmp_path / "data", out=tmp_path / "run", recipe=recipe), "command"
    )
    assert (folder / "config.json").exists()


def test_a_published_run_trains_jointly_and_resumes(tmp_path, monkeypatch):
    write_data(tmp_path / "data")
    recipe = joint_recipe()
    runs = [StructVRNNRun(data=tmp_path / "data", out=tmp_path / name, recipe=recipe) for name in "ab"]
    train_struct_vrnn(runs[0], "command")
    save = fit.save_training

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_training", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_struct_vrnn(runs[1], "command")
    train_struct_vrnn(runs[1], "command")
    whole, killed = (read_model(run.out / "model") for run in runs)
    assert whole.digest == killed.digest
    assert "rates halved every 1 steps" in whole.card and "not their change" not in whole.card
