"""Manipulated scenes: which keypoints are moved and how, what counts as an error, the command."""

import json
import sys

import pytest
import torch
from PIL import Image

from world_models import evaluate
from world_models.checkpoint import write_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.files import save_array
from world_models.struct_vrnn.evaluation import manipulation
from world_models.struct_vrnn.evaluation.figures import counterfactuals
from world_models.struct_vrnn.evaluation.manipulation import (
    ManipulationEvaluation,
    Scenes,
    edit,
    evaluate_manipulation,
    followers,
    measure,
    summarise,
)
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.vision import from_pixels, to_pixels
from world_models.training.run import Session

RECIPE = DEBUG.model_copy(update={"model": DEBUG.model.model_copy(update={"actions": 0, "hidden": 8})})
BODIES = ("player-1", "player-2", "ball")
SIZE, OBSERVED = 16, 3


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def make_scenes(count=40, frames=6):
    """Bodies anywhere; the first or second one is moved evenly while seen, all shift by a pixel then."""
    true = 2.0 + 10.0 * draw(count, frames, 3, 2)
    player = torch.arange(count) % 2
    change = torch.zeros_like(true)
    ramp = torch.linspace(0, 3, OBSERVED)[:, None]
    change[torch.arange(count), :OBSERVED, player] = ramp.expand(OBSERVED, 2)
    change[:, OBSERVED:] = 1.0
    return Scenes(player, true + change, true, BODIES, OBSERVED)


def make_features(scenes):
    """Four keypoints: on the first player, beside the ball, nowhere in particular, and one that is faint."""
    places = torch.stack(
        [
            scenes.true[:, :, 0],
            scenes.true[:, :, 2] + torch.tensor([1.5, -1.0]),
            16.0 * draw(*scenes.true.shape[:2], 2, seed=1),
            scenes.true[:, :, 1],
        ],
        2,
    )
    scale = torch.tensor([1.0, 0.5, 0.8, 0.001]).expand(places.shape[:3])[..., None]
    return torch.cat([from_pixels(places, SIZE), scale], -1).flatten(-2)


def test_keypoints_follow_bodies_that_they_keep_their_distance_to():
    scenes = make_scenes()
    follows = followers(make_features(scenes), scenes.true, SIZE)
    assert follows.tolist() == [[True, False, False], [False, False, True], [False] * 3, [False] * 3]


def test_what_follows_a_moved_body_is_moved_as_far():
    scenes = make_scenes()
    features = make_features(scenes)
    follows = followers(features, scenes.true, SIZE)
    change = (scenes.moved - scenes.true)[:, :OBSERVED]
    edited = edit(features[:, :OBSERVED], change, follows, SIZE).unflatten(-1, (-1, 3))
    before = features[:, :OBSERVED].unflatten(-1, (-1, 3))
    away = to_pixels(edited[..., :2], SIZE) - to_pixels(before[..., :2], SIZE)
    torch.testing.assert_close(away[:, :, 0], change[:, :, 0], atol=1e-4, rtol=0)
    assert not away[:, :, 1:].any() and torch.equal(edited[..., 2], before[..., 2])


def write_run(folder, features, seed=0):
    session = Session(folder, seed, torch.device("cpu"))
    with session.initial_weights():
        model = StructVRNN(RECIPE.model)
        write_model(folder / "model", RECIPE.model, model, "")
    (folder / "run.json").write_text(json.dumps({"seed": seed, "recipe": RECIPE.model_dump(mode="json")}))
    save_array(folder / "features" / "features.npy", features.numpy())
    return model.eval()


def write_data(folder, scenes, observation=7):
    count, frames = scenes.true.shape[:2]
    who = scenes.player[:, None, None].expand(count, frames, 1).float()
    states = torch.cat([who, scenes.moved.flatten(2), scenes.true.flatten(2)], 2)
    sequences = Sequences(
        (255 * draw(count, frames, SIZE, SIZE, 3)).byte().numpy(),
        torch.zeros(count, frames - 1, 0).numpy(),
        torch.zeros(count, frames).bool().numpy(),
        states.numpy(),
    )
    attributes = {"observation": observation, "bodies": ",".join(BODIES), "observed": OBSERVED}
    write_shard(shard_path(folder, 0), sequences, attributes)
    return folder


def test_a_model_that_rolls_out_the_truth_is_nearer_where_it_is_told(monkeypatch, tmp_path):
    """The roll-out is replaced by the future that belongs to the past it is given."""
    scenes = make_scenes()
    features = make_features(scenes)
    model = write_run(tmp_path / "run", features)
    futures = {True: scenes.moved, False: scenes.true}

    def future(model, past, actions, observed):
        edited = not torch.equal(past, features[20:])
        return futures[edited][20:, observed:].flatten(-2)

    class Reading:
        @classmethod
        def fit(cls, *_):
            return lambda told: (
                told.unflatten(-1, (3, 2)) if told.shape[-1] == 6 else scenes.true[20:, :OBSERVED]
            )

    monkeypatch.setattr(manipulation, "mean_future", future)
    monkeypatch.setattr(manipulation, "Regression", Reading)
    row = measure(model, features, scenes, 20, tmp_path / "scenes.png")
    assert row["errors"]["edited all"] == pytest.approx(0.0, abs=1e-5)
    assert row["errors"]["unedited others"] == pytest.approx(2**0.5, rel=1e-4)
    assert row["factual_error"] == pytest.approx(0.0, abs=1e-5)
    assert row["movable"] == 0.5 and row["found"] == 3
    assert row["keypoints"] == {"player-1": 1, "player-2": 0, "ball": 1}
    found = summarise([{"seed": 0, **row}])
    assert found["others"]["nearer"] == pytest.approx(1.0) and found["all"]["ci95"][0] > 0.99
    with Image.open(tmp_path / "scenes.png") as picture:
        assert picture.width > picture.height > 500


def test_the_figure_says_what_its_colours_are(monkeypatch, tmp_path):
    drawn, scenes = [], make_scenes(count=4)
    monkeypatch.setattr(
        "world_models.jobs.figures.save_figure", lambda figure, *_, **__: drawn.append(figure)
    )
    futures = {"unedited": scenes.true[:, OBSERVED:], "edited": scenes.moved[:, OBSERVED:]}
    counterfactuals(scenes.true, scenes.moved, futures, scenes.player, tmp_path / "scenes.png")
    (legend,) = drawn[0].legends
    colours = {
        text.get_text(): line.get_color()
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert colours["past as it was"] == "tab:blue" and colours["past of one player moved"] == "tab:red"


def test_the_command_measures_every_seed(tmp_path, monkeypatch, capsys):
    scenes = make_scenes()
    data = write_data(tmp_path / "data", scenes)
    for seed in range(2):
        write_run(tmp_path / "runs" / f"struct-vrnn-agents-{seed}", make_features(scenes), seed)
    out = tmp_path / "agents.json"
    words = [f"--data={data}", f"--runs-folder={tmp_path / 'runs'}", f"--out={out}", "--fitted=20"]
    monkeypatch.setattr(sys, "argv", ["evaluate", "agents", *words])
    evaluate.main()
    content = json.loads(out.read_text())
    assert [row["seed"] for row in content["rows"]] == [0, 1] and "sequences" not in content["rows"][0]
    for found in content["summary"].values():
        assert found["ci95"][0] <= found["nearer"] <= found["ci95"][1]
    printed = capsys.readouterr().out
    assert "| seed 1 | " in printed and "| moved player | " in printed


def test_data_without_counterfactuals_is_refused(tmp_path):
    scenes = make_scenes()
    write_run(tmp_path / "runs" / "struct-vrnn-agents-0", make_features(scenes))
    job = ManipulationEvaluation(
        data=write_data(tmp_path / "plain", scenes, observation=0), runs_folder=tmp_path / "runs", fitted=20
    )
    with pytest.raises(DataError, match=r"python -m envs\.collect moved-agents` does"):
        evaluate_manipulation(job, "")
    whole = job.model_copy(update={"data": write_data(tmp_path / "data", scenes), "fitted": 40})
    with pytest.raises(DataError, match="40 to fit leave none to test"):
        evaluate_manipulation(whole, "")
