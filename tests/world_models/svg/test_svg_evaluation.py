"""The evaluation of SVG: scores, directions and the prior's spread, on tiny videos of a bright square."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from world_models.checkpoint import CheckpointError, write_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.frames import to_tensor
from world_models.svg import SVG, LatentSVGConfig, SVGConfig
from world_models.svg.evaluation import scores
from world_models.svg.evaluation.directions import (
    centre_of_light,
    count_velocities,
    measure_example,
    summarise_example,
)
from world_models.svg.evaluation.evaluation import SVGEvaluation, evaluate_svg
from world_models.svg.evaluation.scores import (
    COPY,
    MEASURES,
    SamplingProtocol,
    futures,
    score_video,
    score_videos,
)
from world_models.svg.evaluation.table import markdown_tables
from world_models.svg.evaluation.uncertainty import compare_spreads, measure_spreads

SIZE, FRAMES, WALL = 16, 9, 5
TINY = {"seen": 3, "generated": 6, "samples": 3}


def videos(count, digits=1):
    """Squares that go right by one pixel per frame up to frame WALL, then down; or up, every other one."""
    frames = np.zeros((count, FRAMES, SIZE, SIZE, 1), np.uint8)
    states = np.zeros((count, FRAMES, 3 * digits), np.float32)
    for index in range(count):
        for t in range(FRAMES):
            x = 1 + min(t, WALL)
            y = 6 + max(t - WALL, 0) * (1 if index % 2 else -1)
            frames[index, t, y : y + 4, x : x + 4] = 255
            states[index, t, digits : digits + 2] = x + 1.5, y + 1.5
    states[:, WALL, 0] = 1.0
    actions = np.zeros((count, FRAMES - 1, 0), np.float32)
    return Sequences(frames, actions, states[:, :, 0] > 0, states)


def write_videos(folder, count, digits=1):
    write_shard(shard_path(folder, 0), videos(count, digits), {"seed": 0, "split": "test"})
    return folder


def tiny(prior, image_size=SIZE, actions=0):
    """A model whose random weights are large enough for samples to differ."""
    latent = 0 if prior == "none" else 2
    recurrent = LatentSVGConfig(prior=prior, embedding=8, latent=latent, hidden=8, actions=actions)
    sizes = {"widths": (4, 4), "bottleneck": 2, "strokes": 4, "dense": 8}
    model = SVG(SVGConfig(image_size=image_size, recurrent=recurrent, **sizes))
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return model


@pytest.fixture
def folders(tmp_path):
    made = {}
    for name, prior in (("lp", "learned"), ("fp", "fixed"), ("det", "none")):
        made[name] = tmp_path / "models" / name
        model = tiny(prior)
        write_model(made[name], model.config, model, "card")
    return made


@pytest.fixture
def job(tmp_path, folders):
    return SVGEvaluation(
        data=write_videos(tmp_path / "test", 4, 2),
        videos=3,
        models=tuple(folders.values()),
        starts=write_videos(tmp_path / "starts" / "7", 6).parent,
        path=write_videos(tmp_path / "path", 3, 2),
        out=tmp_path / "out" / "svg.json",
        **TINY,
    )


def test_the_best_sample_is_that_of_the_highest_mean_ssim():
    truth = to_tensor(videos(1).frames[0, 3:])
    samples = truth.repeat(30, 1, 1, 1, 1)
    samples[:, 2:] = 0.0  # dark from the third frame on
    samples[27] = truth
    samples[27, 0, :, 8, 8] += 0.5
    found = dict(zip(MEASURES, score_video(iter(samples.unbind(1)), truth), strict=True))
    assert np.allclose(found["psnr_best"][1:], 100.0) and found["psnr_best"][0] < 40
    assert found["ssim_best"][0] < found["ssim_mean"][0]
    assert np.all(found["ssim_mean"][2:] < 0.9) and np.allclose(found["ssim_best"][1:], 1.0, atol=1e-4)


def test_scores_do_not_depend_on_how_videos_are_shared_out(tmp_path, folders, monkeypatch):
    protocol = SamplingProtocol(data=write_videos(tmp_path / "test", 5), videos=4, **TINY)
    methods = {"lp": folders["lp"], COPY: None}
    together = score_videos(protocol, methods, tmp_path / "a", 1)
    monkeypatch.setattr(scores, "CHUNK", 1)
    alone = score_videos(protocol, methods, tmp_path / "b", 1)
    assert len([*(tmp_path / "b").glob("lp-*.npy")]) == 4
    for name in methods:
        for measure in MEASURES:
            assert together[name][measure].shape == (4, 6)
            assert np.array_equal(together[name][measure], alone[name][measure])
    # Each of several samples counts: their best is better than their mean; the copy is one sample.
    assert (together["lp"]["ssim_best"].mean(1) > together["lp"]["ssim_mean"].mean(1)).all()
    assert np.array_equal(together[COPY]["ssim_best"], together[COPY]["ssim_mean"])


@pytest.mark.slow
def test_several_processes_score_the_same(tmp_path, folders, monkeypatch):
    monkeypatch.setattr(scores, "CHUNK", 1)
    protocol = SamplingProtocol(data=write_videos(tmp_path / "test", 3), videos=3, **TINY)
    one, two = (score_videos(protocol, folders, tmp_path / str(workers), workers) for workers in (1, 2))
    for name in folders:
        assert np.array_equal(one[name]["ssim_best"], two[name]["ssim_best"])


def test_what_is_scored_is_kept_unless_something_changes(tmp_path, folders, monkeypatch):
    data = write_videos(tmp_path / "test", 4)
    protocol = SamplingProtocol(data=data, videos=4, **TINY)
    monkeypatch.setattr(scores, "CHUNK", 2)
    methods = {"fp": folders["fp"]}
    first = score_videos(protocol, methods, tmp_path / "kept", 1)
    paths = sorted((tmp_path / "kept").iterdir())
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    again = score_videos(protocol, methods, tmp_path / "kept", 1)
    after = [path.stat().st_mtime_ns for path in paths]
    assert before[0] == after[0] and before[1] < after[1]
    assert np.array_equal(first["fp"]["ssim_best"], again["fp"]["ssim_best"])
    other = score_videos(protocol.model_copy(update={"seed": 1}), methods, tmp_path / "kept", 1)
    assert len([*(tmp_path / "kept").iterdir()]) == 4
    assert not np.array_equal(first["fp"]["ssim_best"], other["fp"]["ssim_best"])


def test_futures_are_what_the_model_samples():
    model, frames = tiny("learned"), to_tensor(videos(1).frames)
    noise = torch.randn(27, 4, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = torch.stack([*futures(model, frames[0, :3], noise, torch.zeros(6, 0))], 1)
        wanted = model.sample(frames[:, :3].repeat(27, 1, 1, 1, 1), noise)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_videos_and_models_that_do_not_fit_are_refused(tmp_path, folders):
    data = write_videos(tmp_path / "test", 4)
    with pytest.raises(DataError, match="videos of 9 frames; 5 seen and 5 generated ones need 10"):
        score_videos(SamplingProtocol(data=data, videos=4, seen=5, generated=5), {COPY: None}, tmp_path, 1)
    with pytest.raises(DataError, match="has 4 sequences, 5 were asked for"):
        score_videos(SamplingProtocol(data=data, videos=5, **TINY), {COPY: None}, tmp_path, 1)
    large = tiny("fixed", image_size=24)
    write_model(tmp_path / "large", large.config, large, "card")
    with pytest.raises(ValueError, match=r"is for pictures \(24, 24, 1\), .* are \(16, 16, 1\)"):
        score_videos(
            SamplingProtocol(data=data, videos=4, **TINY), {"large": tmp_path / "large"}, tmp_path, 1
        )
    driven = tiny("fixed", actions=2)
    write_model(tmp_path / "driven", driven.config, driven, "card")
    with pytest.raises(ValueError, match=r"is driven by actions of size 2, .* have 0"):
        score_videos(
            SamplingProtocol(data=data, videos=4, **TINY), {"driven": tmp_path / "driven"}, tmp_path, 1
        )


def test_recorded_actions_drive_the_models_that_take_them(tmp_path):
    still = videos(2)
    for index, acted in enumerate((np.zeros((2, FRAMES - 1, 2)), np.ones((2, FRAMES - 1, 2)))):
        sequences = Sequences(still.frames, acted.astype(np.float32), still.keyframes, still.states)
        write_shard(shard_path(tmp_path / str(index), 0), sequences, {"actions": index})
    found = {}
    for name, model in (("driven", tiny("fixed", actions=2)), ("idle", tiny("fixed"))):
        write_model(tmp_path / name, model.config, model, "card")
        for index in (0, 1):
            protocol = SamplingProtocol(data=tmp_path / str(index), videos=2, **TINY)
            found[name, index] = score_videos(protocol, {name: tmp_path / name}, tmp_path / "scores", 1)[name]
    assert not np.array_equal(found["driven", 0]["ssim_mean"], found["driven", 1]["ssim_mean"])
    assert np.array_equal(found["idle", 0]["ssim_mean"], found["idle", 1]["ssim_mean"])


def test_velocities_are_read_from_pictures():
    frames = to_tensor(videos(2).frames)
    steps = centre_of_light(frames + 0.2 * (frames == 0)).diff(dim=1)  # a dim background is no light
    assert torch.allclose(steps[:, :WALL], torch.tensor([1.0, 0.0]), atol=1e-5)
    assert torch.allclose(steps[0, WALL:], torch.tensor([0.0, -1.0]), atol=1e-5)
    counts = count_velocities(np.stack([steps[0], steps[1]]))
    assert counts[0, 5, 6] == 1.0
    assert counts[WALL, 4, 5] == counts[WALL, 6, 5] == 0.5
    dark = count_velocities(centre_of_light(torch.zeros(1, 2, 1, 4, 4)).diff(dim=1).numpy())
    fast = count_velocities(np.full((1, 1, 2), 9.0))
    assert dark[0, -1, -1] == fast[0, -1, -1] == 1.0


def test_an_example_counts_what_follows_the_wall(tmp_path):
    write_videos(tmp_path, 6)
    protocol = SamplingProtocol(data=tmp_path, **TINY)
    example = measure_example({"lp": tiny("learned")}, tmp_path, protocol)
    assert example.first_wall == WALL and len(example.path) == WALL + 1
    assert example.truth.shape == example.models["lp"].shape == (6, 11, 11)
    assert np.allclose(example.truth.sum((1, 2)), 1.0) and np.allclose(example.models["lp"].sum((1, 2)), 1.0)
    assert example.truth[0, 5, 6] == 1.0  # frame 3, right
    summary = summarise_example(example, tmp_path, protocol)
    late = summary["models"]["lp"]["total_variation"][WALL + 1 - 3 :]
    assert summary["models"]["lp"]["after_wall"]["total_variation"] == pytest.approx(np.mean(late))


def test_the_frame_after_a_hit_is_the_uncertain_one(tmp_path):
    class Prior(SVG):
        """Spread 3 where a square has turned, else 1; and 9 for the first frame."""

        def prior_spread(self, frames, actions=None):
            spread = torch.ones(len(frames), FRAMES - 1, 2)
            spread[:, WALL], spread[:, 0] = 3.0, 9.0
            return spread

    write_videos(tmp_path, 30, 2)
    found = measure_spreads(Prior(tiny("learned").config), SequenceDataset(tmp_path), 2, 2)
    assert found.values.shape == (28, FRAMES - 1) and found.fresh.shape == (28, FRAMES - 1, 2)
    assert np.argwhere(found.fresh[0]).tolist() == [[WALL, 0]]
    compared = compare_spreads(found, np.random.default_rng(0))
    assert compared["ratio"] == {"mean": 3.0, "low": 3.0, "high": 3.0}
    assert compared["ratio_with_first_frame"]["mean"] == pytest.approx(3 / (15 / 7))
    assert compared["ratio_to_quiet"]["mean"] == 3.0
    assert (compared["at_new_velocity"], compared["elsewhere"]) == (3.0, 1.0)


def test_everything_is_measured_and_drawn(job):
    content = evaluate_svg(job, "the command")
    assert json.loads(job.out.read_text()) == content
    protocol = content["protocol"]
    assert protocol["samples"] == {"lp": 3, "fp": 3, "det": 1, COPY: 1}
    assert protocol["command"] == "the command" and protocol["videos"] == 3 and len(protocol["models"]) == 3
    assert content["scores"]["differences"].keys() == {"lp - fp", "lp - det", "fp - det"}
    assert content["directions"][0]["models"].keys() == {"lp", "fp", "det"}
    assert content["prior_spread"].keys() == {"lp"}
    assert content["prior_spread"]["lp"]["tested_videos"]["videos"] == 3
    for name in ("scores", "samples", "directions", "prior-spread"):
        with Image.open(job.out.with_name(f"svg-{name}.png")) as picture:
            assert min(picture.size) > 100
    table = markdown_tables(content)
    assert "| lp | 3 |" in table and "| det - " not in table and "| 5 |" in table and "lp: the prior" in table


def test_only_what_is_given_is_measured(job, folders):
    content = evaluate_svg(
        job.model_copy(update={"starts": None, "path": None, "models": (folders["det"],)}), "command"
    )
    assert content["directions"] == [] and content["prior_spread"] is None
    assert not content["scores"]["differences"]
    assert "| det | 1 |" in markdown_tables(content)
    assert not job.out.with_name("svg-directions.png").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("data", r"--split test --sequences 3 --out .*none"),
        ("starts", r"--digits 1 --shared start --seed \$seed --sequences 5000 --out .*none/\$seed"),
        ("path", r"--shared path --frames 100 --sequences 500 --out .*none"),
    ],
)
def test_missing_data_is_named_with_the_command_that_makes_it(job, tmp_path, missing, message):
    with pytest.raises(DataError, match=message):
        evaluate_svg(job.model_copy(update={missing: tmp_path / "none"}), "command")


def test_models_need_names_of_their_own(tmp_path, job):
    with pytest.raises(ValueError, match="different names"):
        SVGEvaluation(models=(tmp_path / "a" / "model", tmp_path / "b" / "a"))
    with pytest.raises(CheckpointError, match="no model folder"):
        evaluate_svg(job.model_copy(update={"models": (tmp_path / "nowhere",)}), "command")
