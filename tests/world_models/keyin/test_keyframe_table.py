"""The keyframe table on tiny models whose weights were never trained."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from world_models.checkpoint import write_model
from world_models.data import SequenceDataset, Sequences, shard_path, write_shard
from world_models.evaluate import main
from world_models.frames import to_tensor
from world_models.keyin import KeyIn
from world_models.keyin.keyframes.evaluation import KeyframeEvaluation, evaluate_keyframes
from world_models.keyin.keyframes.pictures import TRUE
from world_models.keyin.keyframes.results import markdown_table
from world_models.keyin.keyframes.scores import score
from world_models.keyin.keyframes.table import TrainedRun, learned_pattern
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.keyin.reconstruction import reconstruct
from world_models.statistics import mean_and_interval
from world_models.svg import SVG, LatentSVG, LatentSVGConfig, SVGConfig
from world_models.svg.surprise import surprise_keyframes

CONFIG = KEYIN_DEBUG.model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten sequences of a magenta square that runs to the right; keyframes at 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("data")
    frames = np.full((10, 7, 16, 16, 3), 90, np.uint8)
    for row, t in np.ndindex(10, 7):
        frames[row, t, row : row + 4, t : t + 4] = (204, 31, 191)
    keyframes = np.zeros((10, 7), bool)
    keyframes[:, [2, 4, 6]] = True
    sequences = Sequences(
        frames, np.zeros((10, 6, 2), np.float32), keyframes, np.zeros((10, 7, 4), np.float32)
    )
    write_shard(shard_path(folder, 0), sequences, {"seed": 0})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        sizes = LatentSVGConfig(embedding=CONFIG.embedding, hidden=8)
        write_model(folder / "model", CONFIG, KeyIn(CONFIG), "")
        write_model(folder / "svg", sizes, LatentSVG(sizes), "")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """SVG on the pictures themselves, by prior."""
    folder = tmp_path_factory.mktemp("svg")
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        for prior in ("fixed", "learned"):
            recurrent = LatentSVGConfig(prior=prior, embedding=8, latent=2, hidden=8)
            sizes = SVGConfig(image_size=16, channels=3, dense=8, recurrent=recurrent)
            write_model(folder / prior / "model", sizes, SVG(sizes), "")
    return folder


def job(data, tmp_path, *runs, **settings):
    names = {"push": data, "brownian": tmp_path / "none", "out": tmp_path / "k.json", "sequences": 4}
    return KeyframeEvaluation(runs=runs, **(names | settings))


def test_every_method_has_its_row(data, run, tmp_path):
    methods = ("static-learned", "surprise", "keyin")
    asked = job(data, tmp_path, *(f"push:{m}:3={run}" for m in methods))
    rows = evaluate_keyframes(asked)
    assert json.loads((tmp_path / "k.json").read_text()) == rows
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("random", 0),
        ("random", 1),
        ("random", 2),
        ("constant", 0),
        ("static", 0),
        ("jumpy", 0),
        ("static-learned", 3),
        ("surprise", 3),
        ("keyin", 3),
    ]
    for row in rows:
        assert row["n"] == 4 and len(row["recall_by_time"]) == 5
        assert [k for k, recall in enumerate(row["recall_by_time"], 1) if recall is not None] == [2, 4]
    static = rows[4]  # 4, 9, ...: one of the two keyframes, nothing else inside
    assert (static["precision"], static["recall"], static["f1"]) == pytest.approx((1, 0.5, 2 / 3))
    assert {"f1_prior", "center_error_median", "object_missing"} <= rows[-1].keys()
    assert evaluate_keyframes(asked) == rows


def test_pictures_are_made_of_keyin_runs(data, run, tmp_path):
    evaluate_keyframes(job(data, tmp_path, f"push:keyin:3={run}", sequences=1, pictures=tmp_path / "p"))
    with Image.open(tmp_path / "p" / "push-3-reconstruction.png") as strip:
        pixels = np.asarray(strip)
    assert pixels.shape == (2 * 70, 7 * 70, 3)
    border = pixels[1, 35::70].tolist()  # the upper row of tiles, keyframes at 2, 4 and 6
    assert [colour == list(TRUE) for colour in border] == [k in (2, 4, 6) for k in range(7)]
    with Image.open(tmp_path / "p" / "push-3-samples.png") as samples:
        assert np.asarray(samples).std() > 0


def test_the_keyin_row_scores_the_posteriors_times(data, run, tmp_path):
    row = evaluate_keyframes(job(data, tmp_path, f"push:keyin:0={run}"))[-1]
    model, part = KeyIn.load(run / "model"), SequenceDataset(data)[6:10]
    found = reconstruct(model, to_tensor(part.frames), torch.Generator().manual_seed(0))
    assert row["f1"] == float(score(found.times, torch.from_numpy(part.keyframes)).f1.mean())
    assert found.embeddings.shape == (4, 6, CONFIG.embedding)


def test_the_learned_pattern_covers_the_sequence(data, run):
    pattern = learned_pattern(KeyIn.load(run / "model"), SequenceDataset(data), 6)
    assert len(pattern) == CONFIG.keyframes and sum(pattern) == CONFIG.frames


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("push:keyin=runs/a", "dataset:method:seed=folder"),
        ("push:keyin:x=runs/a", "dataset:method:seed=folder"),
        ("push:keyin:0=", "dataset:method:seed=folder"),
        ("pull:keyin:0=runs/a", "choose from brownian, push"),
        ("push:tap:0=runs/a", "choose from static-learned, surprise, keyin"),
    ],
)
def test_a_misnamed_run_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        TrainedRun.parse(text)


def test_what_does_not_fit_is_refused_in_a_sentence(data, run, tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="is for 1 context frames"):
        evaluate_keyframes(job(data, tmp_path, f"brownian:keyin:0={run}", brownian=data))
    with pytest.raises(ValueError, match="10 sequences, 11 were asked for"):
        evaluate_keyframes(job(data, tmp_path, sequences=11))
    with pytest.raises(ValueError, match="needs sequences before"):
        evaluate_keyframes(job(data, tmp_path, f"push:static-learned:0={run}", sequences=10))
    arguments = ["keyframes", "--push", str(tmp_path / "none"), "--brownian", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    with pytest.raises(SystemExit, match="there is no data"):
        main()


def test_intervals_over_seeds():
    assert mean_and_interval([0.5]) == (0.5, None)
    mean, half = mean_and_interval([0.90, 0.92, 0.97])
    assert mean == pytest.approx(0.93)
    assert half == pytest.approx(4.303 * np.std([0.90, 0.92, 0.97], ddof=1) / 3**0.5)
    rows = [
        {
            "dataset": "push",
            "method": "keyin",
            "n": 9,
            "precision": 0.5,
            "recall": 0.5,
            "f1_pm1": 1.0,
            "f1": f1,
        }
        for f1 in (0.90, 0.92, 0.97)
    ]
    line = markdown_table(rows).splitlines()[-1]
    assert (
        line
        == "| push | keyin | 3 | 9 | 0.930 ± 0.090 | 0.500 ± 0.000 | 0.500 ± 0.000 | 1.000 ± 0.000 | - | - |"
    )


def test_svg_on_pictures_is_surprised_where_it_says(data, pictures, tmp_path):
    folders = (pictures / "fixed", pictures / "fixed" / "model")  # of a run, of a model
    rows_of_run, rows = (
        evaluate_keyframes(job(data, tmp_path, f"push:surprise:0={folder}")) for folder in folders
    )
    assert rows == rows_of_run
    sequences = SequenceDataset(data)[6:10]
    with torch.no_grad():
        surprise = SVG.load(pictures / "fixed" / "model").surprise(to_tensor(sequences.frames))
    times = surprise_keyframes(surprise, 5)
    flags = torch.from_numpy(sequences.keyframes)
    assert rows[-1]["method"] == "surprise"
    assert rows[-1]["f1"] == pytest.approx(float(score(times, flags).f1.mean()))


def test_svg_of_other_pictures_or_prior_is_refused(data, pictures, tmp_path):
    with pytest.raises(ValueError, match="has a learned prior"):
        evaluate_keyframes(job(data, tmp_path, f"push:surprise:0={pictures / 'learned'}"))
    small = Sequences(
        np.zeros((4, 7, 8, 8, 3), np.uint8),
        np.zeros((4, 6, 2), np.float32),
        np.zeros((4, 7), bool),
        np.zeros((4, 7, 4), np.float32),
    )
    write_shard(shard_path(tmp_path / "small", 0), small, {"seed": 0})
    with pytest.raises(ValueError, match=r"is for pictures of \(16, 16, 3\)"):
        evaluate_keyframes(job(tmp_path / "small", tmp_path, f"push:surprise:0={pictures / 'fixed'}"))
