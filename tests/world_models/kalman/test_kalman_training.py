"""The bound, and training in stages: what is frozen, resuming, refusing other data."""

import json

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from tests.world_models.kalman.test_kalman_model import random_model, squares
from world_models.checkpoint import load_weights, read_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.kalman.bound import lower_bound
from world_models.kalman.lgssm.filter import LGSSM
from world_models.kalman.model import Kalman
from world_models.kalman.presets import KALMAN_PRESETS
from world_models.kalman.recipe import KalmanRun, Stage
from world_models.kalman.run import train_kalman
from world_models.kalman.training import STAGES
from world_models.training import fit
from world_models.training.run import Session

DEBUG = KALMAN_PRESETS["kalman-debug"][-1]


def positions_of(model: LGSSM, component: int, steps: int) -> MultivariateNormal:
    """All positions of one object as one Gaussian, built by unrolling the equations."""
    mean, cross = [model.start_means[component]], {(0, 0): model.start_covariances[component]}
    for t in range(1, steps):
        mean.append(model.transition @ mean[-1] + model.force)
        for s in range(t):
            cross[t, s] = model.transition @ cross[t - 1, s]
            cross[s, t] = cross[t, s].mT
        cross[t, t] = model.transition @ cross[t - 1, t - 1] @ model.transition.mT + model.process_noise
    rows = [torch.cat([cross[t, s] for s in range(steps)], dim=1) for t in range(steps)]
    emission = torch.block_diag(*[model.emission] * steps)
    noise = torch.block_diag(*[model.observation_noise] * steps)
    return MultivariateNormal(emission @ torch.cat(mean), emission @ torch.cat(rows) @ emission.mT + noise)


def test_the_bound_is_equation_7_written_out():
    model, frames, objects, steps = random_model(2), squares(steps=4), 2, 4
    noise = torch.randn(2, objects, steps, 2, generator=torch.Generator().manual_seed(0))
    found = lower_bound(model, frames, objects, noise)
    inferred, dynamics = model.infer(frames, objects), model.dynamics()
    q = Normal(inferred.means, (0.5 * inferred.log_variances).exp())
    places = q.mean + q.stddev * noise
    seen = Bernoulli(logits=model.render(places.movedim(1, 2)))
    torch.testing.assert_close(found.log_pictures, seen.log_prob(frames).flatten(1).sum(1))
    double = LGSSM(**{name: value.double() for name, value in vars(dynamics).items()})
    weights = double.start_logits.log_softmax(-1)
    each = [positions_of(double, k, steps).log_prob(places.flatten(-2).double()) for k in range(2)]
    log_prior = torch.logsumexp(torch.stack(each, dim=-1) + weights, dim=-1).sum(1)
    expected = -q.entropy().flatten(1).sum(1) - log_prior
    torch.testing.assert_close(found.kl.double(), expected.double(), rtol=1e-4, atol=1e-2)


def test_pictures_drawn_at_random_stand_for_all():
    model, frames = random_model(2), squares(steps=4)
    noise = torch.zeros(2, 2, 4, 2)
    parts = [lower_bound(model, frames, 2, noise, torch.tensor([t])).log_pictures for t in range(4)]
    whole = lower_bound(model, frames, 2, noise)
    torch.testing.assert_close(torch.stack(parts).mean(0), whole.log_pictures)


def test_the_weight_of_the_kl_is_annealed_by_a_constant_factor():
    stage = Stage(steps=3, batch=1, kl_start=100.0)
    assert [round(stage.kl_weight(step), 6) for step in range(3)] == [100.0, 10.0, 1.0]
    assert Stage(steps=1, batch=1).kl_weight(0) == 1.0


def write_videos(folder, count, seed):
    """Five videos of white squares that move right."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((5, 6, 12, 12, 1), np.uint8)
    for row in range(5):
        for x, y in rng.integers(0, 7, (count, 2)):
            for t in range(6):
                frames[row, t, y : y + 3, x + t // 3 : x + t // 3 + 3] = 255
    states = np.zeros((5, 6, 6 * count), np.float32)
    sequences = Sequences(frames, np.zeros((5, 5, 0), np.float32), np.zeros((5, 6), bool), states)
    write_shard(shard_path(folder, 0), sequences, {"seed": seed})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for count in (1, 2):
        write_videos(folder / str(count), count, count)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_kalman(KalmanRun(data=data, out=out, recipe=DEBUG), "command")
    return out


def test_a_run_ends_with_a_model_and_its_card(finished):
    stored = read_model(finished / "model")
    assert "`command` (seed 0)" in stored.card and "5 videos of 6 frames, the last 2 held out" in stored.card
    assert stored.card.count("\n| ") == 3
    stages = [json.loads(line)["stage"] for line in (finished / "log.jsonl").read_text().splitlines()]
    assert stages == list(STAGES)
    assert Kalman.load(finished / "model").infer(squares(), 2).means.isfinite().all()


def test_the_state_space_model_rests_in_the_first_stage(finished):
    with Session(finished, 0, torch.device("cpu")).initial_weights():
        model = Kalman(DEBUG.model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    moved = {}
    for stage in STAGES:
        load_weights(finished / f"{stage}.safetensors", model)
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
        moved[stage] = {name.split(".")[0] for name in changed}
    assert moved == {
        "frozen": {"renderer", "inference"},
        "single": {"renderer", "inference", "motion"},
        "joint": {"renderer", "inference", "motion"},
    }


def test_an_interrupted_run_ends_with_the_same_bytes(data, finished, tmp_path, monkeypatch):
    run = KalmanRun(data=data, out=tmp_path / "run", recipe=DEBUG)
    save = fit.save_training

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_training", save_and_die)
        for _ in STAGES:
            with pytest.raises(KeyboardInterrupt):
                train_kalman(run, "command")
    train_kalman(run, "command")
    weights = "model/model.safetensors"
    assert (run.out / weights).read_bytes() == (finished / weights).read_bytes()


def test_a_folder_of_another_run_is_not_overwritten(data, finished):
    with pytest.raises(ValueError, match="other seed; choose another --out"):
        train_kalman(KalmanRun(data=data, out=finished, seed=1, recipe=DEBUG), "command")


def test_data_must_fit(data, tmp_path):
    with pytest.raises(DataError, match="no data folder"):
        train_kalman(KalmanRun(data=tmp_path, out=tmp_path / "run", recipe=DEBUG), "command")
    large = DEBUG.model_copy(update={"model": DEBUG.model.model_copy(update={"image_size": 16})})
    with pytest.raises(ValueError, match="pictures of 16 x 16 x 1"):
        train_kalman(KalmanRun(data=data, out=tmp_path / "run", recipe=large), "command")
    greedy = DEBUG.model_copy(update={"held_out": 5})
    with pytest.raises(ValueError, match="5 are to be held out"):
        train_kalman(KalmanRun(data=data, out=tmp_path / "run", recipe=greedy), "command")
