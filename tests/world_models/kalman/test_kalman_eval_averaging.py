import pytest
import torch

from world_models.kalman.config import KalmanConfig
from world_models.kalman.evaluation.averaging import Averaging
from world_models.kalman.model import Kalman
from world_models.kalman.queries import Tracks

SIZE = 16


@pytest.fixture
def model():
    """Draws a soft disc of 2 px where it is told to; places are seen with a noise of 1 px."""
    model = Kalman(KalmanConfig(image_size=SIZE, canvas=4, state=4)).eval()

    def render(places):
        pixels = torch.arange(float(SIZE))
        x, y = model.to_pixels(places).unbind(-1)
        distance = (pixels - x[..., None])[..., None, :] ** 2 + (pixels - y[..., None])[..., None] ** 2
        return (4.0 - distance).amax(dim=-3)[..., None, :, :]

    model.render = render
    one_pixel = torch.linalg.inv(model.pixel_matrix)[0, 0].log()
    with torch.no_grad():
        model.motion.observation.copy_(one_pixel * torch.eye(2))
    return model


def tracks(means, spread):
    means = torch.tensor(means)[None, :, None]
    covariances = spread * torch.eye(2).expand(1, means.shape[1], 1, 2, 2)
    return Tracks(means, covariances, torch.zeros(1, 1, 1, SIZE, SIZE))


def test_pictures_are_averages_over_the_forecast(model):
    asked = tracks([[5.0, 9.0], [8.5, 7.0]], spread=2.0)
    found = Averaging(model)(asked)
    deviation = (2.0 + model.spread_to_pixels(model.dynamics().observation_noise)[0, 0].item()) ** 0.5
    assert deviation == pytest.approx(3.0**0.5, abs=1e-3)
    rng = torch.Generator().manual_seed(0)
    drawn = asked.means[0, :, 0] + deviation * torch.randn(4000, 2, 2, generator=rng)
    latent = (drawn - model.pixel_offset) @ torch.linalg.inv(model.pixel_matrix).mT
    black = [1.0 - model.render(latent[:, n : n + 1]).sigmoid().mean(0) for n in range(2)]
    assert (found[0, 0] - (1.0 - black[0] * black[1])).abs().max() < 0.03


def test_the_surer_the_sharper(model):
    averaging = Averaging(model)
    sure, unsure = (averaging(tracks([[7.0, 7.0]], spread)) for spread in (0.01, 9.0))
    assert sure.max() > 1.5 * unsure.max()
    assert sure.sum().item() == pytest.approx(unsure.sum().item(), rel=0.2)
