"""TAP against brute force over all times, and its recursion."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from world_models.checkpoint import CheckpointError, write_model
from world_models.svg import LatentSVG, LatentSVGConfig
from world_models.tap.config import TapConfig
from world_models.tap.model import DEPTH, Tap
from world_models.tap.recipe import TapStage
from world_models.tap.training import MARGIN, draw_segments, goal_pictures, tap_loss, train_tap
from world_models.training import fit
from world_models.training.run import Session

CONFIG = TapConfig(embedding=8, latent=2, hidden=8)
CPU = torch.device("cpu")


def model(seed=0):
    """A model whose weights are all non-zero, so that every path matters, and survive half precision."""
    tap = Tap(CONFIG)
    rng = torch.Generator().manual_seed(seed)
    for parameter in tap.parameters():
        parameter.data = (0.3 * torch.randn(parameter.shape, generator=rng)).half().float()
    return tap.eval().requires_grad_(False)


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def on_the_sphere(*shape, seed=1):
    """Embeddings as an autoencoder makes them: mean 0 and variance 1."""
    return torch.nn.functional.layer_norm(draw(*shape, seed=seed), shape[-1:])


def brute_force(tap, frames, goal, start, end, noise, stage):
    """The loss of one segment and its target: every time is tried, one after the other."""
    best = None
    for t in range(start, end + 1):
        share = (t - start) / (end - start)
        if not MARGIN <= share <= 1 - MARGIN:
            continue
        last = goal if end == len(frames) - 1 else frames[end]
        rows = [frames[start][None], last[None], frames[t][None]]
        mean, log_variance = tap.posterior(*rows)
        prior_mean, prior_log_variance = tap.prior(*rows[:2])
        posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1)
        prior = Independent(Normal(prior_mean, (prior_log_variance / 2).exp()), 1)
        predicted = tap.decode(*rows[:2], mean + (log_variance / 2).exp() * noise)
        bound = (predicted - rows[2]).square().sum() + stage.beta * kl_divergence(posterior, prior)[0]
        welcome = Normal(0.5, stage.preference).log_prob(torch.tensor(share)).exp()
        if best is None or bound / welcome < best[0]:
            best = (bound / welcome, bound, t)
    return best[1:]


@pytest.mark.parametrize("preference", [0.1, 0.25, 100.0])
def test_the_loss_is_the_minimum_over_time(preference):
    tap, frames, goals = model(), on_the_sphere(3, 13, 8), on_the_sphere(3, 8, seed=7)
    stage = TapStage(steps=1, batch=40, beta=0.7, preference=preference)
    loss = tap_loss(tap, frames, goals, stage, CPU, 0, torch.Generator().manual_seed(5))
    replay = torch.Generator().manual_seed(5)
    rows = torch.randint(3, (40,), generator=replay)
    segments = draw_segments(40, 12, replay)
    noise = torch.randn(40, 2, generator=replay)
    found = [
        brute_force(tap, frames[row], goals[row], int(start), int(end), eps, stage)
        for row, start, end, eps in zip(rows, *segments, noise, strict=True)
    ]
    torch.testing.assert_close(loss.total, torch.stack([bound for bound, _ in found]).mean())
    assert len({time for _, time in found}) > 3


def test_the_gradient_is_that_of_the_chosen_targets_alone():
    """Frames that are not the best target, or in the margins, do not matter at all."""
    tap, frames = model().requires_grad_(True), on_the_sphere(1, 13, 8)
    stage = TapStage(steps=1, batch=1, beta=0.7)
    generator = torch.Generator()
    whole = next(seed for seed in range(100) if draw_after_row(generator.manual_seed(seed)) == (0, 12))
    loss = tap_loss(tap, frames, frames[:, -1], stage, CPU, 0, generator.manual_seed(whole))
    loss.total.backward()
    before = {name: parameter.grad.clone() for name, parameter in tap.named_parameters()}
    generator.manual_seed(whole)
    draw_after_row(generator)
    noise = torch.randn(1, 2, generator=generator)
    _, target = brute_force(tap, frames[0], frames[0, -1], 0, 12, noise, stage)
    others = frames.clone()
    kept = torch.zeros(13, dtype=torch.bool)
    kept[[0, target, 12]] = True
    others[0, ~kept] += 100.0
    tap.zero_grad()
    tap_loss(tap, others, others[:, -1], stage, CPU, 0, generator.manual_seed(whole)).total.backward()
    for name, parameter in tap.named_parameters():
        torch.testing.assert_close(parameter.grad, before[name], msg=name)
        assert (parameter.grad != 0).any(), name


def draw_after_row(generator):
    """The segment that :func:`tap_loss` draws for a batch of one from sequences 0..12."""
    torch.randint(1, (1,), generator=generator)
    start, end = draw_segments(1, 12, generator)
    return int(start), int(end)


@pytest.mark.parametrize("last", [2, 3, 5, 30])
def test_segments_have_a_target_and_come_in_all_sizes(last):
    start, end = draw_segments(2000, last, torch.Generator().manual_seed(0))
    length = end - start
    assert start.min() == 0 and end.max() == last and length.min() >= 2
    share = (length == last).float().mean()
    assert share > 0.9 / (DEPTH + 1)
    if last == 30:
        assert length.unique().numel() > 15 and length.min() <= 3
        assert (start > 0).any() and (end < last).any() and ((start > 0) & (end < last)).any()


def test_subgoals_are_the_bottlenecks_of_bottlenecks_in_the_order_of_time():
    tap, start, goal = model(), on_the_sphere(2, 8), on_the_sphere(2, 8, seed=2)
    noise = draw(2, 5, 2, seed=3)
    found = tap.subgoals(start, goal, noise)
    middle = tap.predict(start, goal, noise[:, 2])
    first = tap.predict(start, middle, noise[:, 0])
    fourth = tap.predict(middle, goal, noise[:, 3])
    expected = [
        first,
        tap.predict(first, middle, noise[:, 1]),
        middle,
        fourth,
        tap.predict(fourth, goal, noise[:, 4]),
    ]
    torch.testing.assert_close(found, torch.stack(expected, dim=1))
    for count in (1, 2, 3, 6):
        assert tap.subgoals(start, goal, draw(2, count, 2)).shape == (2, count, 8)
    with pytest.raises(ValueError, match="at least one subgoal"):
        tap.subgoals(start, goal, noise[:, :0])


def test_subgoals_are_embeddings_and_rows_are_independent():
    tap, start, goal, noise = model(), on_the_sphere(2, 8), on_the_sphere(2, 8, seed=2), draw(2, 6, 2)
    found = tap.subgoals(start, goal, noise)
    torch.testing.assert_close(found.mean(-1), torch.zeros(2, 6), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(found.var(-1, unbiased=False), torch.ones(2, 6), atol=1e-3, rtol=0.0)
    for row in range(2):
        one = slice(row, row + 1)
        torch.testing.assert_close(tap.subgoals(start[one], goal[one], noise[one]), found[one])


def test_noise_is_scaled_by_the_prior():
    tap, start, goal, noise = model(), on_the_sphere(2, 8), on_the_sphere(2, 8, seed=2), draw(2, 2)
    mean, log_variance = tap.prior(start, goal)
    expected = tap.decode(start, goal, mean + (log_variance / 2).exp() * noise)
    torch.testing.assert_close(tap.predict(start, goal, noise), expected)
    assert mean.abs().max() > 0 and log_variance.abs().max() > 0


def test_a_fork_in_the_road_is_not_averaged(tmp_path):
    """Two ways between the same ends, half of the data each: a prediction is on one of them."""
    ends = on_the_sphere(2, 8)
    ways = on_the_sphere(2, 8, seed=4)
    frames = torch.stack([torch.stack([ends[0], way, way, way, ends[1]]) for way in ways]).repeat(50, 1, 1)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        tap = Tap(TapConfig(embedding=8, latent=2, hidden=32))
    stage = TapStage(steps=150, batch=32, beta=0.1, learning_rate=1e-2)
    train_tap(tap, frames, frames[:, -1], stage, Session(tmp_path, 0, CPU))
    start, goal = (end.expand(200, 8) for end in ends)
    found = tap.requires_grad_(False).predict(start, goal, draw(200, 2, seed=6))
    error = (found[:, None] - ways).square().sum(-1)
    assert (ways[0] - ways[1]).square().sum() > 4.0
    assert error.min(dim=1).values.median() < 0.5
    assert 40 < (error.argmin(dim=1) == 0).sum() < 160


def test_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    frames, save = on_the_sphere(6, 5, 8).half(), fit.save_training
    stage = TapStage(steps=2, batch=4, save_every=1)
    finished, resumed = Tap(CONFIG), Tap(CONFIG)
    resumed.load_state_dict(finished.state_dict())
    start = {name: tensor.clone() for name, tensor in finished.state_dict().items()}
    (tmp_path / "whole").mkdir()
    train_tap(finished, frames, frames[:, -1], stage, Session(tmp_path / "whole", 0, CPU))

    def save_and_die(path, step, *rest):
        save(path, step, *rest)
        if step == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_training", save_and_die)
    session = Session(tmp_path / "killed", 0, CPU)
    session.folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train_tap(resumed, frames, frames[:, -1], stage, session)
    fresh = Tap(CONFIG)  # what a new process starts with does not matter
    train_tap(fresh, frames, frames[:, -1], stage, session)
    for name, tensor in finished.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name
    # The first step has a learning rate of its own; by the second something must have moved.
    assert any(not torch.equal(tensor, start[name]) for name, tensor in finished.state_dict().items())


def test_sequences_without_a_middle_are_refused(tmp_path):
    stage = TapStage(steps=1, batch=4)
    with pytest.raises(ValueError, match="at least 3 frames, got 2"):
        train_tap(Tap(CONFIG), draw(4, 2, 8), draw(4, 8), stage, Session(tmp_path, 0, CPU))


def test_a_model_survives_the_disk_and_others_are_refused(tmp_path):
    tap, start, goal, noise = model(), on_the_sphere(2, 8), on_the_sphere(2, 8, seed=2), draw(2, 3, 2)
    write_model(tmp_path / "tap", CONFIG, tap, "# TAP\n")
    loaded = Tap.load(tmp_path / "tap")
    assert torch.equal(loaded.subgoals(start, goal, noise), tap.subgoals(start, goal, noise))
    config = LatentSVGConfig(embedding=8, latent=2, hidden=8)
    write_model(tmp_path / "svg", config, LatentSVG(config), "# SVG\n")
    with pytest.raises(CheckpointError, match="is no TapConfig"):
        Tap.load(tmp_path / "svg")


def test_goal_pictures_move_the_object_and_nothing_else():
    """A red square on grey moves right; a green robot that goes after it stays where it was."""
    frames = torch.full((1, 6, 3, 16, 16), 0.5)
    red, green = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    for t in range(6):
        frames[0, t, :, 10:12, 2 * t : 2 * t + 2] = green[:, None, None]
        frames[0, t, :, 4:6, 2 * t + 2 : 2 * t + 4] = red[:, None, None]
    expected = torch.full((1, 3, 16, 16), 0.5)
    expected[0, :, 10:12, 0:2] = green[:, None, None]
    expected[0, :, 4:6, 12:14] = red[:, None, None]
    assert torch.equal(goal_pictures(frames, (1.0, 0.0, 0.0), 0.4), expected)
