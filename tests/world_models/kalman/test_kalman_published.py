"""The paper's inference network: equations 8 and 9 written out, and a training of seconds."""

import numpy as np
import pytest
import torch

from tests.world_models.kalman.test_kalman_model import squares
from tests.world_models.kalman.test_kalman_training import write_videos
from world_models.data import SequenceDataset
from world_models.interface import Context
from world_models.kalman.config import KalmanConfig
from world_models.kalman.model import Kalman, KalmanWorld
from world_models.kalman.presets import KALMAN_PRESETS
from world_models.kalman.queries import filtered, interpolate
from world_models.kalman.recipe import KalmanRun, Stage
from world_models.kalman.run import train_kalman
from world_models.kalman.training import bound_loss, train_stage
from world_models.kalman.videos import PackedVideos
from world_models.training.run import Session

CONFIG = KalmanConfig(image_size=12, most_objects=3, canvas=32, state=8, published=True)


def new_model(config=CONFIG, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        return Kalman(config)


@pytest.fixture(scope="module")
def model():
    return new_model().eval().requires_grad_(False)


def test_states_and_places_are_those_of_equations_8_and_9(model):
    frames, net, size = squares(batch=1, steps=3), model.inference, CONFIG.state
    found = model.infer(frames, 2)
    own = [net.first[1, n].tanh() for n in range(2)]
    for t in range(3):
        before = torch.zeros(size)
        for n in range(2):
            seen = torch.cat([own[n], before, frames[0, t].flatten()])
            mask, content = (net.gates.weight @ seen + net.gates.bias).split(size)
            before = (1 - mask.sigmoid()) * before + mask.sigmoid() * content.tanh()
            own[n] = before
            mean = net.mean.weight @ before + net.mean.bias
            torch.testing.assert_close(found.means[0, n, t], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.state[0], torch.stack(own), rtol=1e-4, atol=1e-5)


def test_initial_values_are_the_papers(model):
    law = model.dynamics()
    for covariance in (law.observation_noise, *law.start_covariances):
        torch.testing.assert_close(covariance, torch.eye(len(covariance)), rtol=0, atol=1e-4)
    torch.testing.assert_close(law.process_noise, 1e-3 * torch.eye(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(law.transition[0, 2], torch.tensor(0.1))
    weight = model.inference.gates.weight
    assert weight.var().item() == pytest.approx(weight.numel() ** -0.5, rel=0.15)


def test_inference_goes_on_where_it_stopped_and_unseen_frames_leave_it_there(model):
    frames = squares(steps=6)
    whole = model.infer(frames, 2)
    start = model.infer(frames[:, :3], 2)
    assert torch.equal(model.unseen(start.state, 5), start.state)
    rest = model.infer(frames[:, 3:], 2, start.state)
    torch.testing.assert_close(torch.cat([start.means, rest.means], dim=2), whole.means)


def test_it_answers_queries_and_is_a_world_model(model):
    frames = squares(steps=6)
    assert torch.equal(model.track(frames, model.infer(frames, 2).means), model.infer(frames, 2).means)
    assert filtered(model, frames, 2).means.isfinite().all()
    assert interpolate(model, frames[:, :2], frames[:, 4:], 2, 2).frames.shape == (2, 2, 1, 12, 12)
    world = KalmanWorld(model, 2)
    future = world.imagine(world.encode(Context(frames, torch.zeros(2, 5, 0))), torch.zeros(2, 3, 0))
    torch.testing.assert_close(world.decode(future.features[:, 0]), model.render(places_of(future)).sigmoid())


def places_of(future):
    return future.features[:, 0].unflatten(-1, (2, 2))


def test_training_lowers_the_loss_and_ends_with_a_model(tmp_path):
    for count in (1, 2):
        write_videos(tmp_path / "data" / str(count), count, count)
    recipe = KALMAN_PRESETS["kalman-paper-debug"][-1]
    folder = train_kalman(KalmanRun(data=tmp_path / "data", out=tmp_path / "run", recipe=recipe), "command")
    assert Kalman.load(folder).infer(squares(), 2).means.isfinite().all()
    assert "the network's alone" in (folder / "card.md").read_text().replace("\n", " ")

    videos = [PackedVideos.read(SequenceDataset(tmp_path / "data" / "1"), 0, 5)]
    session = Session(tmp_path, 0, torch.device("cpu"))
    stage = Stage(steps=150, batch=5, drawn=6, most_objects=1, learning_rate=1e-2)
    learner = new_model(CONFIG.model_copy(update={"most_objects": 1}))

    def loss():
        rows = [bound_loss(learner, videos, stage, session.device, 150, generator(k)) for k in range(8)]
        return np.mean([row.total.item() for row in rows])

    before = loss()
    train_stage("joint", learner, videos, stage, session)
    assert loss() < 0.5 * before


def generator(seed):
    return torch.Generator().manual_seed(seed)
