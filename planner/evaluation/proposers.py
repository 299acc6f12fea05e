"""Where the subgoals of each planner of an evaluation come from."""

from collections.abc import Mapping

from planner.evaluation.evaluation import Proposer
from planner.goals import make_goal
from planner.loading import load_keyin, load_planner, load_tap
from planner.search.hierarchy import Count, HierarchyConfig
from planner.subgoals import (
    TAP_DRAWS,
    TIMED,
    Timing,
    keyin_subgoals,
    oracle_subgoals,
    path_subgoals,
    tap_subgoals,
    timed_oracle,
)
from world_models.keyin.model import KeyIn
from world_models.tap.model import Tap


def make_proposer(
    planner: str,
    weights: Mapping[str, str],
    hierarchy: HierarchyConfig,
    keyframes: Count | None,
    constant: int,
    device: str,
    follow: int | None = None,
) -> Proposer:
    """The proposer of one of the :data:`~planner.subgoals.PLANNERS`.

    Args:
        planner: its name.
        weights: names or folders of models by learned planner; that of tap needs keyin, too.
        hierarchy: how it searches.
        keyframes: how many a plan has, the goal among them; None: as many as is its own.
        constant: frames between the keyframes of oracle-constant.
        device: where models are.
        follow: control steps that a frame of a plan lasts, where plans are to be followed frame by frame;
            None: subgoals are pursued.

    Raises:
        ValueError: it cannot make plans of so many keyframes, or none that can be followed; or there is no
            such model.
    """
    if follow is not None and (planner == "tap" or planner.startswith("oracle")):
        raise ValueError(f"plans of {planner} cannot be followed frame by frame; leave it out")
    if planner == "oracle":
        return Proposer(oracle_subgoals)
    if planner in TIMED:
        return _timed_oracle(TIMED[planner], keyframes, constant)
    if planner == "tap":
        return _tap(load_tap(weights["tap"], device), load_keyin(weights["keyin"], device), keyframes)
    if planner not in weights:
        return Proposer()
    found = load_planner(weights[planner], device, hierarchy).planner
    if keyframes is not None:
        found.check_keyframes(keyframes)
    cem, count = found.config.cem, found.config.keyframes if keyframes is None else keyframes
    candidates = cem.candidates * cem.iterations
    if follow is not None:
        path = path_subgoals(found, keyframes, follow)
        most = found.config.keyframes if count == "auto" else count
        return Proposer(lambda world, start: path, count, lambda shown: candidates * most)
    subgoals = keyin_subgoals(found, keyframes)
    return Proposer(lambda world, start: subgoals, count, lambda planned: candidates * (planned + 1))


def _timed_oracle(timing: Timing, keyframes: Count | None, constant: int) -> Proposer:
    count = 6 if keyframes is None else keyframes
    if count == "auto":
        raise ValueError("oracles do not choose the number of keyframes; give --keyframes a number")
    return Proposer(lambda world, start: timed_oracle(world, start, count, timing, constant), count)


def _tap(tap: Tap, pictures: KeyIn, keyframes: Count | None) -> Proposer:
    """TAP on the pictures of the model that it was trained with."""
    goal = make_goal(pictures.config.goal)
    if goal is None:
        raise ValueError("tap works on the pictures of a model that has a goal in its configuration")
    if keyframes == "auto":
        raise ValueError("tap does not choose the number of keyframes; give --keyframes a number")
    count = (keyframes or pictures.config.keyframes) - 1
    subgoals = tap_subgoals(tap, pictures, count, goal.plausible)
    return Proposer(lambda world, start: subgoals, count + 1, lambda planned: TAP_DRAWS * planned)
