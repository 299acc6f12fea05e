import json

import numpy as np
import pytest
import torch

from world_models.checkpoint import CheckpointError, write_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.evaluate import evaluations
from world_models.kalman.config import KalmanConfig
from world_models.kalman.ed_lstm.config import EDLSTMConfig
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.evaluation.evaluation import KalmanEvaluation, evaluate_kalman
from world_models.kalman.evaluation.figures import overlay
from world_models.kalman.evaluation.held_out_videos import mean_pictures, read_test_videos
from world_models.kalman.evaluation.table import markdown_tables
from world_models.kalman.model import Kalman

SIZE, FRAMES, SEEN = 16, 8, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Test videos of falling balls, an untrained Kalman model and an untrained ED-LSTM."""
    folder = tmp_path_factory.mktemp("kalman")
    rng = np.random.default_rng(0)
    time = np.arange(FRAMES)[:, None, None]
    for count in (1, 2, 3):
        start, velocity = rng.uniform(4, 11, (12, 1, count, 2)), rng.uniform(-0.4, 0.4, (12, 1, count, 2))
        positions = start + velocity * time + 0.02 * time**2 * np.array([0, 1])
        seen = positions + 0.2 * rng.standard_normal(positions.shape)
        apart = np.square(np.arange(SIZE) - np.rint(seen)[..., None])
        discs = apart[..., 1, :, None] + apart[..., 0, None, :] <= 6.25
        states = np.stack([0 * positions, positions, seen], axis=2)
        sequences = Sequences(
            frames=np.where(discs.any(2), np.uint8(255), np.uint8(0))[..., None],
            actions=np.zeros((12, FRAMES - 1, 0), np.float32),
            keyframes=np.zeros((12, FRAMES), np.bool_),
            states=states.reshape(12, FRAMES, -1).astype(np.float32),
        )
        write_shard(shard_path(folder / "data" / str(count), 0), sequences, {"seed": 7})
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        kalman = Kalman(KalmanConfig(image_size=SIZE, canvas=16, state=8))
        baseline = EDLSTM(EDLSTMConfig(image_size=SIZE, state=8, encoder=(8,), decoder=()))
    write_model(folder / "kalman", kalman.config, kalman, "")
    write_model(folder / "baseline", baseline.config, baseline, "")
    return folder


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr("world_models.kalman.evaluation.evaluation.draw_figures", lambda *_: [])


def job(folder, out, **changes):
    return KalmanEvaluation(
        model=folder / "kalman",
        baseline=changes.pop("baseline", folder / "baseline"),
        data=folder / "data",
        learned=changes.pop("learned", folder / "data"),
        out=out,
        sequences=changes.pop("sequences", 12),
        seen=changes.pop("seen", SEEN),
    )


def test_states_are_told_apart(folder):
    videos = read_test_videos(folder / "data", 3, 5)
    assert videos.frames.shape == (5, FRAMES, 1, SIZE, SIZE)
    assert videos.positions.shape == videos.seen.shape == (5, 3, FRAMES, 2)
    noise = videos.seen - videos.positions
    assert 0.1 < noise.std() < 0.3
    # True positions fall without noise: their second difference is that of the law.
    assert torch.allclose(
        videos.positions.diff(n=2, dim=2).mean((0, 1, 2)), torch.tensor([0, 0.04]), atol=1e-4
    )
    x, y = videos.seen[0, 0, 0].round().int().tolist()
    assert videos.frames[0, 0, 0, y, x] == 1
    with pytest.raises(ValueError, match="12 sequences, 13 were asked for"):
        read_test_videos(folder / "data", 3, 13)


def test_mean_pictures_are_shares(folder):
    frames = read_test_videos(folder / "data", 2, 12).frames
    assert torch.allclose(mean_pictures(folder / "data", 2, 9), frames[:9].mean(0))


def test_evaluation_writes_results_tables_and_figures(folder, tmp_path):
    out = tmp_path / "kalman.json"
    content = evaluate_kalman(job(folder, out), "the command")
    assert json.loads(out.read_text()) == content
    assert content["protocol"]["command"] == "the command"
    assert content["protocol"]["data"]["2"] == {"seed": 7}
    assert len(content["protocol"]["model"]) == 64
    steps = FRAMES - SEEN
    for found in content["results"].values():
        losses = found["loss"]
        for name in ("kalman-mean", "kalman-averaged", "ed-lstm", "mean-picture", "held-picture"):
            assert losses[name]["mean"] == pytest.approx(np.mean(losses[name]["per_step"]))
            assert len(losses[name]["per_step"]) == steps
        difference = losses["kalman-mean"]["mean"] - losses["ed-lstm"]["mean"]
        assert losses["kalman-mean"]["minus_ed_lstm"]["mean"] == pytest.approx(difference)
        assert found["known_law"]["loss"]["mean"] < losses["kalman-mean"]["mean"]
        shown = {name: len(part["per_step"]) for name, part in found["position"].items()}
        assert shown == {
            "filtered": FRAMES,
            "generated": steps,
            "interpolated": steps - SEEN,
            "inferred": FRAMES,
        }
        # The fitted map is the best one for filtered tracks.
        assert found["position"]["filtered"]["mean"] < found["position"]["filtered"]["without_fit"] + 0.5
    tables = markdown_tables(content)
    assert "ED-LSTM" in tables and "| N = 3 |" in tables
    names = ("inferred", "generated", "interpolated")
    assert all((tmp_path / f"kalman-{name}.png").stat().st_size > 10_000 for name in names)


def test_what_is_missing_is_left_out(folder, tmp_path, no_figures):
    nothing = tmp_path / "nothing"
    content = evaluate_kalman(job(folder, tmp_path / "a.json", baseline=nothing, learned=nothing), "")
    assert content["protocol"]["baseline"] is None
    for found in content["results"].values():
        assert not {"ed-lstm", "mean-picture"} & set(found["loss"])
        assert "minus_ed_lstm" not in found["loss"]["kalman-mean"]
    assert "ED-LSTM" not in markdown_tables(content)


def test_results_repeat(folder, tmp_path, no_figures):
    first, second = (evaluate_kalman(job(folder, tmp_path / f"{n}.json"), "") for n in "ab")
    assert first == second


def test_wrong_arguments_are_refused(folder, tmp_path, no_figures):
    with pytest.raises(ValueError, match="too short for seen = 4"):
        evaluate_kalman(job(folder, tmp_path / "a.json", seen=4), "")
    with pytest.raises(DataError, match="no data folder"):
        evaluate_kalman(job(folder, tmp_path / "a.json").model_copy(update={"data": tmp_path / "x"}), "")
    with pytest.raises(CheckpointError, match="is no KalmanConfig"):
        evaluate_kalman(
            job(folder, tmp_path / "a.json").model_copy(update={"model": folder / "baseline"}), ""
        )


def test_the_command_line_knows_it(folder, tmp_path, no_figures):
    kalman = evaluations()["kalman"]
    assert kalman.settings is KalmanEvaluation
    assert "mean position error" in kalman.measure(job(folder, tmp_path / "a.json", sequences=6), "")


def test_later_pictures_are_brighter_in_overlays():
    frames = torch.zeros(3, 1, 2, 2)
    frames[0, 0, 0, 0] = frames[:, 0, 0, 1] = frames[2, 0, 1, 0] = 1
    assert overlay(frames).tolist() == [[0.25, 1.0], [1.0, 0.0]]
