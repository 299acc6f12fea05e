import pytest
import torch

from world_models.kalman.evaluation.answers import held_picture
from world_models.kalman.evaluation.held_out_videos import TestVideos
from world_models.kalman.evaluation.known_law import forecast, true_model, white_share
from world_models.kalman.evaluation.learned_law import learned_law, true_law
from world_models.kalman.evaluation.measures import fit_tracks
from world_models.kalman.evaluation.scores import Affine, distances
from world_models.kalman.lgssm.filter import LGSSM, newtonian, simulate
from world_models.kalman.lgssm.mixture import GaussianMixture, draw

SIZE, NOISE, PULL = 32, 0.3, 0.05


@pytest.fixture(scope="module")
def law():
    """Balls that fly right or left and fall, in pixels and frames."""
    transition, emission = newtonian(torch.ones((), dtype=torch.float64), 2)
    spread = torch.tensor([2.0, 2.0, 0.1, 0.1], dtype=torch.float64).square().diag()
    return LGSSM(
        transition=transition,
        force=torch.tensor([0.0, PULL / 2, 0.0, PULL], dtype=torch.float64),
        process_noise=torch.zeros(4, 4, dtype=torch.float64),
        emission=emission,
        observation_noise=NOISE**2 * torch.eye(2, dtype=torch.float64),
        start_logits=torch.zeros(2, dtype=torch.float64),
        start_means=torch.tensor([[8.0, 14, 0.6, -0.4], [24, 14, -0.6, -0.4]], dtype=torch.float64),
        start_covariances=spread.expand(2, 4, 4),
    )


@pytest.fixture(scope="module")
def videos(law):
    rng = torch.Generator().manual_seed(0)
    states, seen = simulate(law, draw(law.start(150, 2), rng), 14, rng)
    positions, seen = states[..., :2].float(), seen.float()
    middles = seen.round().clamp(2, SIZE - 3)
    distance = (torch.arange(SIZE) - middles[..., None]).square()  # [n, N, T, 2, size]
    discs = distance[..., 1, :, None] + distance[..., 0, None, :] <= 6.25
    return TestVideos(discs.any(1).float()[:, :, None], positions, seen)


def test_true_model_is_read_off_the_data(law, videos):
    found = true_model(videos)
    assert torch.allclose(found.force, law.force, atol=1e-3)
    noise = found.observation_noise.diagonal().sqrt()
    assert torch.allclose(noise, torch.full((2,), (NOISE**2 + 1 / 12) ** 0.5, dtype=torch.float64), rtol=0.05)
    velocities = sorted(found.start_means[:, 2].tolist())
    assert velocities == pytest.approx([-0.6, 0.6], abs=0.05)


def test_knowing_both_ends_is_better_than_knowing_one(videos):
    known = forecast(videos, seen=4)
    assert known.tracks["generated"].shape == (150, 2, 10, 2)
    assert known.tracks["interpolated"].shape == (150, 2, 6, 2)
    truth = videos.positions[:, :, 4:10]
    generated = distances(known.tracks["generated"][:, :, :6], truth).mean()
    interpolated = distances(known.tracks["interpolated"], truth).mean()
    last = distances(known.tracks["generated"], videos.positions[:, :, 4:])[:, :, -1].mean()
    assert interpolated < generated < last < 2.5
    assert distances(known.tracks["filtered"], videos.positions)[:, :, -1].mean() < NOISE


def test_the_exact_forecast_has_a_lower_loss_than_the_share_of_white(videos):
    known = forecast(videos, seen=4)
    frames = videos.frames[:, 4:]
    share = frames.mean()
    constant = -(share * share.log() + (1 - share) * (1 - share).log())
    assert known.loss.mean() < 0.6 * constant
    assert known.loss[:, 0].mean() < known.loss[:, -1].mean()


def test_white_share_is_how_often_discs_cover_a_pixel():
    rng = torch.Generator().manual_seed(1)
    means = torch.tensor([[[6.3, 9.0], [10.0, 3.0]], [[4.0, 8.0], [9.0, 8.5]]])  # [N, K, 2]
    places = GaussianMixture(
        torch.tensor([0.3, 0.7]).log().expand(1, 2, 1, 2),
        means[None, :, None],
        torch.diag(torch.tensor([1.0, 2.0])).expand(1, 2, 1, 2, 2, 2),
    )
    size, count = 16, 4000
    shares = white_share(places, size)[0, 0, 0]
    drawn = torch.stack([draw(places, rng)[0, :, 0] for _ in range(count)])  # [count, N, 2]
    middles = drawn.round().clamp(2, size - 3)
    distance = (torch.arange(size) - middles[..., None]).square()
    covered = (distance[..., 1, :, None] + distance[..., 0, None, :] <= 6.25).any(1).float().mean(0)
    assert (shares - covered).abs().max() < 0.04


def test_learned_law_in_pixels_is_the_true_law(law, videos):
    """The same motion in another frame of reference: half the length, other axes, another period."""
    turned = torch.tensor([[0.0, 0.5], [-0.5, 0.0]], dtype=torch.float64)
    period = 0.1
    transition, emission = newtonian(torch.tensor(period, dtype=torch.float64), 2)
    blocks = torch.block_diag(turned, turned / period)
    latent = LGSSM(
        transition=transition,
        force=blocks @ law.force,
        process_noise=law.process_noise,
        emission=emission,
        observation_noise=turned @ law.observation_noise @ turned.mT,
        start_logits=law.start_logits,
        start_means=law.start_means @ blocks.mT,
        start_covariances=blocks @ law.start_covariances @ blocks.mT,
    )
    found = learned_law(latent, Affine(turned.inverse(), torch.zeros(2, dtype=torch.float64)))
    true = true_law(videos.positions, videos.seen)
    assert found["acceleration"] == pytest.approx({"x": 0, "y": PULL, "size": PULL, "angle_degrees": 90})
    assert true["acceleration"]["size"] == pytest.approx(PULL, rel=1e-3)
    assert found["observation_sd"] == pytest.approx([NOISE, NOISE])
    assert true["observation_sd"] == pytest.approx([NOISE, NOISE], rel=0.1)
    assert found["starts"][0]["position"] == pytest.approx([8.0, 14.0])
    assert found["starts"][0]["velocity"] == pytest.approx([0.6, -0.4 + PULL / 2])
    assert found["starts"][1]["velocity_sd"] == pytest.approx([0.1, 0.1])
    assert sorted(start["velocity"][0] for start in true["starts"]) == pytest.approx([-0.6, 0.6], abs=0.06)


def test_fit_tracks_undoes_any_affine_map_and_order(videos):
    turned = Affine(torch.tensor([[0.9, 0.2], [-0.1, 1.1]]), torch.tensor([1.0, -1.0]))
    tracks = turned(videos.positions).clone()
    tracks[::2] = tracks[::2].flip(1)
    fitted, order = fit_tracks(tracks, videos.positions, seen=5)
    assert torch.equal(order[:2], torch.tensor([[1, 0], [0, 1]]))
    found = fitted(tracks)
    found[::2] = found[::2].flip(1)
    # Balls that start in the same place cannot be told apart.
    assert distances(found, videos.positions).median() < 0.05


def test_a_held_picture_is_a_blurred_share(videos):
    held = held_picture(videos.frames[:, :3])
    assert held.shape == (150, 1, 1, SIZE, SIZE)
    assert held.min() > 0 and held.max() <= 0.5
    brightest = held[0, 0, 0].argmax()
    assert videos.frames[0, 2, 0].flatten()[brightest] == 1
