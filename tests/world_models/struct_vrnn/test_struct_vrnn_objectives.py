"""What the stages of a Struct-VRNN minimise, from which sequences, on which schedule."""

import numpy as np
import pytest
import torch

from world_models.struct_vrnn import training
from world_models.struct_vrnn.losses import SequenceLoss, open_loop_loss, separation_loss
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG, DMC, DMC_PAPER
from world_models.struct_vrnn.sequences import Known, draw_rows
from world_models.struct_vrnn.training import dynamics_loss, supervision_loss, vision_loss
from world_models.struct_vrnn.vision import to_pixels

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(**update):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator().get_state())
        return StructVRNN(DEBUG.model.model_copy(update=update))


def known(sequences=4, bodies=(1, 2)):
    """Two tasks: noise of one brightness per sequence, and positions of one and of two bodies."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (sequences, 5, 16, 16, 3)).astype(np.uint8) for _ in bodies]
    return Known(
        frames, [rng.uniform(0, 15, (sequences, 5, count, 2)).astype(np.float32) for count in bodies]
    )


@pytest.mark.parametrize("batch", [1, 5, 6, 32])
def test_every_task_has_its_share_of_a_batch(batch):
    counts, rng, totals = (7, 3, 11), generator(), np.zeros(3)
    for _ in range(60):
        drawn = draw_rows(counts, batch, rng)
        shares = np.zeros(3, int)
        for task, rows in drawn:
            shares[task] = len(rows)
            assert rows.min() >= 0 and rows.max() < counts[task]
        assert shares.sum() == batch and shares.max() - shares.min() <= 1
        totals += shares
    assert totals / 60 == pytest.approx(batch / 3, abs=0.35)


def test_all_sequences_are_drawn():
    rng = generator()
    rows = np.concatenate([rows for _ in range(40) for _, rows in draw_rows((5,), 4, rng)])
    assert np.unique(rows).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("representation", ["keypoints", "vector"])
@pytest.mark.parametrize("supervision", [0.0, 10.0])
def test_the_detector_learns_from_the_sum_of_its_losses(representation, supervision):
    vision = model(representation=representation).vision
    stage = DEBUG.vision.model_copy(
        update={"separation": 0.3, "sparsity": 0.2, "supervision": supervision, "weight_decay": 0.0}
    )
    loss = vision_loss(vision, known(), stage, CPU, generator())
    weights = {"image": 1.0, "sparsity": 0.2, "separation": 0.3, "supervision": supervision}
    expected = sum(weights[name] * value.item() for name, value in loss.logs.items())
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert ("separation" in loss.logs) == (representation == "keypoints")
    assert ("supervision" in loss.logs) == bool(supervision)
    loss.total.backward()
    for name, parameter in vision.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), name
    # The painter is zero at first and passes no picture error on; the other losses reach the detector.
    assert vision.painter.weight.grad.abs().max() > 0
    trunk = vision.trunk[0].weight.grad
    assert (trunk is not None and bool((trunk != 0).any())) == (
        representation == "keypoints" or supervision > 0
    )


def test_weight_decay_is_about_all_kernels():
    vision = model().vision
    stages = [DEBUG.vision.model_copy(update={"weight_decay": weight}) for weight in (0.0, 0.5)]
    without, decayed = (
        vision_loss(vision, known(), stage, CPU, generator()).total.item() for stage in stages
    )
    kernels = sum(p.square().sum().item() for p in vision.parameters() if p.ndim == 4)
    assert decayed - without == pytest.approx(0.5 * kernels, rel=1e-4)


@pytest.mark.parametrize("foreign", [0.0, 1.0])
def test_the_reference_is_the_own_first_frame_or_a_foreign_one(foreign):
    """Still pictures, one per sequence: with the own first frame, a fresh generator is right at once."""
    still = np.repeat(known(sequences=8).frames[0][:, :1], 5, axis=1)
    data = Known([still], [known(sequences=8).positions[0]])
    stage = DEBUG.vision.model_copy(update={"foreign": foreign, "batch": 8})
    image = vision_loss(model().vision, data, stage, CPU, generator()).logs["image"].item()
    assert (image > 1.0) == bool(foreign) and (image == 0.0) == (not foreign)


def test_the_separation_is_measured_along_sequences():
    """Frames of one sequence form a path: still sequences have none, and everything overlaps."""
    still = np.repeat(known().frames[0][:, :1], 5, axis=1)
    data = Known([still], [known().positions[0]])
    loss = vision_loss(model().vision, data, DEBUG.vision, CPU, generator())
    keypoints = DEBUG.model.keypoints
    assert loss.logs["separation"].item() == pytest.approx(keypoints * (keypoints - 1), rel=1e-3)
    moving = torch.randn(1, 5, DEBUG.model.features, generator=generator())
    assert separation_loss(moving, 0.1) < 0.5


def test_supervision_is_the_squared_distance_to_the_bodies():
    features = torch.rand(3, 2, 9, generator=generator()) * 2 - 1
    truth = [np.zeros((1, 2, 1, 2), np.float32), np.full((2, 2, 2, 2), 5.5, np.float32)]
    total = 0.0
    for row, bodies in ((0, 1), (1, 2), (2, 2)):
        for t in range(2):
            for k in range(bodies):
                for axis in range(2):
                    pixel = 0.0 if row == 0 else 5.5
                    coordinate = (pixel - 1.5) / 6.0 - 1.0  # 16 pixels: cells at 1.5, 5.5, 9.5, 13.5
                    total += (features[row, t, 3 * k + axis].item() - coordinate) ** 2 / (2 * 3)
    assert supervision_loss(features, truth, 16).item() == pytest.approx(total, rel=1e-5)
    right = features.clone()
    found = to_pixels(features.unflatten(-1, (-1, 3))[..., :2], 16)
    assert supervision_loss(right, [found[:, :, :1].numpy()], 16).item() == pytest.approx(0.0, abs=1e-9)


def test_the_schedules_rise_with_the_steps(monkeypatch):
    """Beta over the first quarter, own frames over the whole training (sections S1.2 and S1.3)."""
    calls = []

    def spy(dynamics, features, actions, sampling, generator):
        assert torch.equal(features, weighed)
        calls.append(sampling)
        one = torch.ones(())
        return SequenceLoss(one, one, one)

    monkeypatch.setattr(training, "sequence_loss", spy)
    stage = DEBUG.dynamics.model_copy(update={"steps": 100, "beta": 0.4, "own_seen": 1.0, "own_future": 0.5})
    learner, features = model(), torch.rand(1, 6, DEBUG.model.features, generator=generator())
    weighed, actions = learner.weigh(features), torch.zeros(1, 5, 2 * DEBUG.model.actions)
    totals = [
        dynamics_loss(learner, features, actions, stage, step, generator()).total.item()
        for step in (0, 10, 25, 80)
    ]
    assert totals == pytest.approx([2.0, 2.16, 2.4, 2.4])
    assert [(call.own_seen, call.own_future) for call in calls] == [
        pytest.approx(pair) for pair in ((0.0, 0.0), (0.1, 0.05), (0.25, 0.125), (0.8, 0.4))
    ]
    assert all((call.observed, call.samples) == (stage.observed, stage.samples) for call in calls)


def test_open_loop_errors_are_those_of_imagination():
    world = model(hidden=8)
    features, actions = (
        torch.randn(3, 6, 12, generator=generator()),
        torch.randn(3, 5, 2, generator=generator()),
    )
    weighed, padded = world.weigh(features), world.pad(actions)
    error, apart = open_loop_loss(world.dynamics, weighed, padded, 3)
    state = world.take_in(features[:, :3], actions[:, :2])
    future = world.roll_out(state, actions[:, 2:])
    found = future.carried[..., 8:]  # features as the dynamics have them
    assert error.item() == pytest.approx(
        0.5 * (found - weighed[:, 3:]).square().sum(-1).mean().item(), rel=1e-4
    )
    seen = world.take_in(features, actions).carried[:, 3:, :8]
    assert apart.item() == pytest.approx((future.hidden - seen).square().mean().item(), rel=1e-4)
    (error + apart).backward()
    trained = [p.grad is not None and bool(p.grad.any()) for p in world.dynamics.prior_head.parameters()]
    assert any(trained)


def test_they_count_only_where_asked_for():
    world, stage = model(), DEBUG.dynamics
    features, actions = torch.randn(3, 6, 12, generator=generator()), world.pad(torch.zeros(3, 5, 2))
    totals = []
    for weights in ({}, {"open_loop": 2.0}, {"consistency": 3.0}):
        loss = dynamics_loss(world, features, actions, stage.model_copy(update=weights), 1, generator())
        assert ("open loop" in loss.logs) == bool(weights)
        totals.append(loss)
    first, second, third = (float(loss.total.detach()) for loss in totals)
    assert second == pytest.approx(first + 2 * float(totals[1].logs["open loop"].detach()), rel=1e-4)
    assert third == pytest.approx(first + 3 * float(totals[2].logs["consistency"].detach()), rel=1e-4)


def test_the_column_of_the_paper_is_table_s1():
    paper, stage = DMC_PAPER.model, DMC_PAPER.dynamics
    assert (paper.keypoints, paper.hidden, paper.latent) == (64, 512, 128)
    assert (paper.prior_width, paper.posterior_width, stage.samples) == (16, 128, 50)
    assert (DMC_PAPER.vision.sparsity, DMC_PAPER.vision.separation, stage.beta) == (5.0, 0.1, 3e-3)
    assert (stage.observed, stage.predicted, DMC_PAPER.vision.batch, DMC_PAPER.vision.steps) == (
        8,
        8,
        32,
        10**5,
    )
    assert (DMC.model.keypoints, DMC.model.hidden, DMC.model.latent) == (32, 256, 32)
