import numpy as np
import pytest
import torch

from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.ed_lstm.presets import ED_LSTM_PRESETS
from world_models.kalman.ed_lstm.recipe import EDLSTMRun
from world_models.kalman.ed_lstm.recurrence import Recurrence
from world_models.kalman.ed_lstm.run import train_ed_lstm
from world_models.kalman.ed_lstm.training import generation_loss, prediction_loss
from world_models.kalman.videos import PackedVideos

SIZE, FRAMES = 12, 6


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        return EDLSTM(EDLSTMConfig(image_size=SIZE, state=8, encoder=(10,), decoder=(6,))).eval()


@pytest.fixture
def frames():
    return (torch.rand(3, FRAMES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) < 0.2).float()


@pytest.fixture
def data(tmp_path):
    """Six videos of every number of balls; a ball is a white row."""
    for count in (1, 2, 3):
        rng = np.random.default_rng(count)
        frames = np.zeros((6, FRAMES, SIZE, SIZE, 1), np.uint8)
        for video in frames:
            video[:, rng.choice(SIZE, count, replace=False)] = 255
        sequences = Sequences(
            frames=frames,
            actions=np.zeros((6, FRAMES - 1, 0), np.float32),
            keyframes=np.zeros((6, FRAMES), np.bool_),
            states=np.zeros((6, FRAMES, 6 * count), np.float32),
        )
        write_shard(shard_path(tmp_path / "data" / str(count), 0), sequences, {"seed": 0})
    return tmp_path / "data"


def debug_run(data, out, **changes):
    recipe = ED_LSTM_PRESETS["ed-lstm-debug"][1].model_copy(update=changes)
    return EDLSTMRun(data=data, out=out, recipe=recipe)


def test_recurrence_is_the_lstm_and_its_gradient():
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        lstm = torch.nn.LSTM(3, 4, batch_first=True)
        inputs, weighing = torch.randn(2, 5, 3), torch.randn(2, 5, 4)
    wanted, _ = lstm(inputs)
    driven = inputs @ lstm.weight_ih_l0.mT + lstm.bias_ih_l0 + lstm.bias_hh_l0
    outputs = Recurrence.apply(driven, lstm.weight_hh_l0)
    assert torch.allclose(outputs, wanted, atol=1e-6)
    weights = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0]
    due = torch.autograd.grad((wanted * weighing).sum(), weights)
    found = torch.autograd.grad((outputs * weighing).sum(), weights)
    for gradient, other in zip(found, due, strict=True):
        assert torch.allclose(gradient, other, atol=1e-6)


def test_predictions_depend_on_the_past_alone(model, frames):
    changed = frames.clone()
    changed[:, 3] = 1 - changed[:, 3]
    before, after = model(frames), model(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).flatten(2).any(-1).all()


def test_rows_do_not_influence_each_other(model, frames):
    together = model.generate(frames, 3)
    alone = torch.cat([model.generate(row[None], 3) for row in frames])
    assert torch.allclose(together, alone, atol=1e-6)


def test_generation_feeds_its_own_pictures_back(model, frames):
    seen = frames[:, :4]
    made = model.generate(seen, 3)
    assert made.shape == (3, 3, 1, SIZE, SIZE) and made.min() >= 0 and made.max() <= 1
    again = model(torch.cat([seen, made[:, :2]], dim=1))[:, 3:].sigmoid()
    assert torch.allclose(made, again, atol=1e-6)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        model.generate(seen, 0)


def test_free_running_loss_does_not_look_at_inputs_it_makes_itself(model, frames):
    free = prediction_loss(model, frames, seen=2).total
    made = model.generate(frames[:, :2], FRAMES - 3)
    logits = model(torch.cat([frames[:, :2], made], dim=1))
    white = frames[:, 1:]
    likelihood = white * logits.sigmoid().log() + (1 - white) * (1 - logits.sigmoid()).log()
    assert torch.allclose(free, -likelihood.flatten(2).sum(-1).mean(), rtol=1e-5)
    assert free != prediction_loss(model, frames, seen=None).total


def test_packed_videos_are_the_videos(data):
    sequences = SequenceDataset(data / "2")
    videos = PackedVideos.read(sequences, 1, 5)
    true = torch.from_numpy(sequences[1:5].frames > 0).float().movedim(-1, 2)
    assert torch.equal(videos.frames(slice(None)), true)
    assert torch.equal(videos.frames(np.array([3, 0])), true[[3, 0]])


def test_generation_loss_is_the_mean_over_later_pixels(model, data):
    videos = PackedVideos.read(SequenceDataset(data / "1"), 0, 6)
    frames = videos.frames(slice(None))
    made = model.generate(frames[:, :2], FRAMES - 2).double()
    true = frames[:, 2:].double()
    wanted = -(true * made.log() + (1 - true) * (1 - made).log()).mean()
    found = generation_loss(model, videos, 2, torch.device("cpu"))
    assert found == pytest.approx(float(wanted), rel=0.02)  # products may be made in half precision


def test_a_run_that_was_interrupted_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    whole = train_ed_lstm(debug_run(data, tmp_path / "whole"), "command")

    calls = []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 4:  # in the middle of the second stage
            raise KeyboardInterrupt
        return prediction_loss(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("world_models.kalman.ed_lstm.training.prediction_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train_ed_lstm(debug_run(data, tmp_path / "parts"), "command")
    parts = train_ed_lstm(debug_run(data, tmp_path / "parts"), "command")
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    assert "free-running (its own pictures" in (whole / "card.md").read_text()
    loaded = EDLSTM.load(whole)
    assert loaded.config == ED_LSTM_PRESETS["ed-lstm-debug"][1].model


def test_a_folder_holds_one_run(data, tmp_path):
    train_ed_lstm(debug_run(data, tmp_path / "run"), "command")
    with pytest.raises(ValueError, match="choose another --out"):
        train_ed_lstm(debug_run(data, tmp_path / "run", seen=3), "command")


def test_data_must_fit_the_recipe(data, tmp_path):
    wide = ED_LSTM_PRESETS["ed-lstm-debug"][1].model.model_copy(update={"image_size": 16})
    with pytest.raises(ValueError, match="16 x 16 x 1"):
        train_ed_lstm(debug_run(data, tmp_path / "a", model=wide), "command")
    with pytest.raises(ValueError, match="6 are to be held out"):
        train_ed_lstm(debug_run(data, tmp_path / "b", held_out=6), "command")
    with pytest.raises(DataError, match="no data folder"):
        train_ed_lstm(debug_run(tmp_path / "none", tmp_path / "c"), "command")
