"""Struct-VRNN on data of users: sizes from the data, a calibrated goal, a page of pictures."""

import pytest
import torch
from own_data import write_dots

from world_models.checkpoint import read_model
from world_models.goals import BodyGoal, KeypointsGoal
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.own.calibration import GoalStage, calibrate, liveliest
from world_models.struct_vrnn.own.method import OWN_STRUCT_VRNN
from world_models.struct_vrnn.own.preset import OWN, OWN_DEBUG, OwnStructVRNNRun, fit_to_data
from world_models.struct_vrnn.presets import DEBUG


def features(model, *places):
    """One sequence: the first keypoint is at these x, all else rests at the middle."""
    found = torch.zeros(1, len(places), model.config.features)
    found[..., 2::3] = 1.0
    found[0, :, 0] = torch.tensor(places)
    return found


def test_a_model_gets_a_calibrated_goal_and_a_page_of_pictures(tmp_path, capsys):
    run = OwnStructVRNNRun(data=write_dots(tmp_path / "data"), out=tmp_path / "run", recipe=OWN_DEBUG)
    folder = OWN_STRUCT_VRNN.train(run, "train struct-vrnn")
    stored = read_model(folder)
    assert isinstance(stored.goal, KeypointsGoal) and len(stored.goal.weights) == 4
    assert max(stored.goal.weights) == 1.0 and stored.goal.reached >= 1.0
    assert (folder / "pictures.png").stat().st_size > 1000 and "pictures.png" in stored.card
    assert stored.config["actions"] == 1
    assert "what moves in the pictures was not found" in capsys.readouterr().out


def test_sizes_are_those_of_the_data(tmp_path, capsys):
    data = write_dots(tmp_path, frames=9, size=128, actions=0)
    recipe = fit_to_data(OwnStructVRNNRun(data=data, out=tmp_path / "run", recipe=OWN)).recipe
    assert (recipe.model.image_size, recipe.model.actions, recipe.held_out) == (128, 0, 6)
    assert (recipe.dynamics.observed, recipe.dynamics.predicted) == (4, 5)
    assert "cannot act" in capsys.readouterr().out


def test_sequences_that_are_too_short_are_refused(tmp_path):
    run = OwnStructVRNNRun(data=write_dots(tmp_path, frames=5), out=tmp_path / "run", recipe=OWN)
    with pytest.raises(ValueError, match="sequences of 5 frames, at least 6"):
        OWN_STRUCT_VRNN.train(run, "")


def test_runs_of_before_there_was_a_goal_are_known_again():
    assert "calibration" not in DEBUG.model_dump(mode="json")
    assert OWN_DEBUG.model_dump(mode="json")["calibration"] == {"body": None, "reached": 0.9}


def test_distances_are_in_units_of_the_median_step():
    model = StructVRNN(OWN_DEBUG.model)
    goal = calibrate(model, features(model, 0.0, 0.1, 0.2, 0.4, 0.6, 0.8), GoalStage(reached=0.5))
    assert isinstance(goal, KeypointsGoal)
    assert goal.weights == (1.0, 0.0, 0.0, 0.0)
    assert goal.unit == pytest.approx(0.2, abs=1e-5) and goal.reached == pytest.approx(1.0)


def test_a_body_is_measured_in_pixels():
    model = StructVRNN(OWN_DEBUG.model.model_copy(update={"bodies": ("dot",)}))
    found = torch.zeros(1, 3, model.config.features)
    found[0, :, -3] = torch.tensor([-1.0, 0.0, 1.0])  # half the picture of 64 pixels a step
    goal = calibrate(model, found, GoalStage(body="dot"))
    assert isinstance(goal, BodyGoal)
    assert goal.reached == pytest.approx(float(model.places(found)[0, 2, 0, 0]) / 2, rel=0.05)
    with pytest.raises(ValueError, match="knows dot, not ball"):
        calibrate(model, found, GoalStage(body="ball"))


def test_how_much_moves_is_told_in_pixels():
    model = StructVRNN(OWN_DEBUG.model)
    found = features(model, -0.5, 0.5)  # 32 of 64 pixels, to and fro
    assert liveliest(model, found) == pytest.approx(32 / 2**0.5)


@pytest.mark.parametrize("places", [(0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.5)])
def test_what_does_not_move_is_no_goal(places):
    model = StructVRNN(OWN_DEBUG.model)
    with pytest.raises(ValueError, match="moves"):
        calibrate(model, features(model, *places), GoalStage())
