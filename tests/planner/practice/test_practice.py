"""Rounds of recording and learning, in a world that can be told by counting."""

import dataclasses
import shutil

import pytest
from counting import STEPS, CountingEnv, CountingWorld
from pydantic import ValidationError

from envs.dmc.tasks import TASKS
from planner import collect
from planner.loading import load_control
from planner.practice import recipe as recipes
from planner.practice import run as rounds
from planner.practice.curve import read_points
from planner.practice.recipe import Practice, PracticeRecipe
from planner.practice.run import practise
from world_models.checkpoint import CARD, WEIGHTS, read_model
from world_models.data import SequenceDataset, read_attributes
from world_models.struct_vrnn.control.detector.training import DetectorRecipe
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.recipe import BodiesStage
from world_models.train import presets

TASK = "walker-walk"
COUNTED = dataclasses.replace(TASKS[TASK], action_repeat=1000 // STEPS)
VISION = DEBUG.model.model_copy(update={"tasks": (TASK,), "actions": 1, "bodies": ("dot",)})
DETECTOR = DetectorRecipe(
    vision=DEBUG.vision, adaptation=DEBUG.vision, bodies=BodiesStage(steps=2, batch=4, save_every=1)
)
SMALL = PracticeRecipe(first=5, candidates=6, adapted=(2,), detector=DETECTOR, updates=0.1, width=8)


class PayingEnv(CountingEnv):
    """Pays for action of either sign: rewards are not negative."""

    def advance(self, action):
        reward, last = super().advance(action)
        return abs(reward), last


class PayingWorld(CountingWorld):
    def __init__(self, task=TASK):
        super().__init__(task)
        self.env = PayingEnv(task)


@pytest.fixture(scope="module", autouse=True)
def counted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "DmcWorld", PayingWorld)
        for module in (collect, rounds, recipes):
            patch.setattr(module, "find_task", lambda name: COUNTED)
        patch.setattr(Practice, "vision", lambda self: VISION)
        yield


def practice(folder, **settings):
    return Practice(out=folder, task=TASK, recipe=SMALL, **{"rounds": 4} | settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, counted):
    """The folder of a run that nothing has interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert practise(practice(folder), "the command") == folder / "model"
    return folder


def test_every_round_records_with_the_model_before_it_and_learns_from_all(whole):
    shards = [read_attributes(path) for path in SequenceDataset(whole / "episodes" / TASK).paths]
    assert [shard["model"] for shard in shards] == ["random", "round-00", "round-01", "round-02"]
    detectors = [read_model(whole / f"stage-{n}" / "detector").weights_digest for n in (0, 0, 1)]
    assert [shard["detector"] for shard in shards[1:]] == detectors
    assert [shard["seed"] for shard in shards] == [0, 1, 2, 3]
    points = read_points(whole / "episodes" / TASK)
    assert [point.steps for point in points] == [5000, 10_000, 15_000, 20_000]
    assert [point.random for point in points] == [True, False, False, False]
    assert all(point.mean_return > 0 for point in points)
    assert (whole / "returns.png").read_bytes().startswith(b"\x89PNG")
    card = (whole / "model" / CARD).read_text()
    assert "20000 steps of the environment" in card and "`the command` (seed 0)" in card


def test_the_model_reads_the_detector_that_went_on_learning(whole):
    first, second = (read_model(whole / f"stage-{n}" / "detector").weights_digest for n in (0, 1))
    ready = load_control(str(whole / "model"))
    assert first != second == ready.control.config.detector
    assert load_control(str(whole / "stage-0/round-01")).control.config.detector == first
    assert "**without dynamics**" in (whole / "detector" / CARD).read_text()


def mortal(step, lives):
    """Something that is done so often, and then kills the run."""
    left = iter(range(lives))

    def attempt(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return step(*arguments)

    return attempt


def test_a_run_that_was_killed_again_and_again_ends_with_the_same_weights(whole, tmp_path, monkeypatch):
    for step, lives in (("train_detector", 0), ("write", 1), ("write_model", 0), ("learn", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(rounds, step, mortal(getattr(rounds, step), lives))
            with pytest.raises(KeyboardInterrupt):
                practise(practice(tmp_path), "the command")
    practise(practice(tmp_path), "the command")
    kept = [folder / "model" / WEIGHTS for folder in (whole, tmp_path)]
    assert kept[0].read_bytes() == kept[1].read_bytes()


def test_a_finished_run_stays_as_it_is_and_other_settings_are_refused(whole, tmp_path):
    moved = tmp_path / "moved"
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    practise(practice(whole), "the command")
    assert {path: path.read_bytes() for path in before} == before
    shutil.copytree(whole, moved)
    practise(practice(moved), "the command")
    assert len(list((moved / "episodes" / TASK).glob("*.h5"))) == 4
    with pytest.raises(ValueError, match=r"holds a run with other .*rounds"):
        practise(practice(whole, rounds=5), "the command")


def test_a_task_has_numbers_of_its_own_that_can_be_changed():
    run = Practice(task=TASK, rounds=3, recipe=PracticeRecipe(first=10, episodes=5, updates=2.0))
    assert run.updates() == [2 * 10 * STEPS, 2 * 5 * STEPS, 2 * 5 * STEPS]
    assert run.control().steps == sum(run.updates())
    assert (run.control().sizes.discount, run.control().sizes.reads) == (0.985, ("bodies", "keypoints"))
    changed = Practice(task=TASK, recipe=PracticeRecipe(discount=0.9, reads=("bodies",)))
    assert (changed.control().sizes.discount, changed.control().sizes.reads) == (0.9, ("bodies",))
    for wrong in ({"adapted": (0,)}, {"first": 7}, {"episodes": 0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            PracticeRecipe(**wrong)


def test_the_verb_that_trains_knows_it():
    _, run = presets()["dmc-control"]
    assert isinstance(run, Practice) and run.rounds == 20
