from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.push.scene import Scene, Wall, path_length
from envs.push.variation.factors import Variation
from envs.push.world import PushWorld
from planner.episode import Moment, episode, run_episode
from planner.goals import action_cost, make_goal
from planner.low_levels.dynamics import PlaceModel
from planner.low_levels.learned import PlaceServo
from planner.low_levels.low_level import LowLevel, RandomActions, clipped_normal, true_servo
from planner.pursuit import Actor, EpisodeConfig, own_seeds, search_seed
from planner.search.cem import CemConfig
from planner.search.rollout import Interrupted, RollOut
from planner.search.servo import Servo, ServoConfig, ServoStep
from planner.subgoals import no_subgoals
from world_models.frames import to_bytes, to_tensor
from world_models.segmenter import PUCK_GOAL
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

PUCK = PUCK_GOAL.segmenter
OPEN_TABLE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6))
SMALL = ServoConfig(horizon=5, cem=CemConfig(candidates=40, iterations=2, elite_fraction=0.1, bound=1.0))


def picture_with_puck_at(world: PushWorld, scene: Scene, place: tuple[float, float]) -> torch.Tensor:
    return to_tensor(world.begin(replace(scene, puck=place))[0])[None]


class Still(LowLevel):
    """Never moves and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, bool]] = []

    def acting(self, request):
        yield from ()
        self.asked.append((float(PUCK.blob(request.subgoal).centre[0, 0]), request.warm_start is None))
        return ServoStep(torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1), torch.zeros(1, 3, 2))


def acting(world, subgoals, low_level, config=None):
    return Actor(low_level, subgoals, make_goal(world.goal), config or EpisodeConfig())


def run(world, subgoals, low_level, config=None, scene=OPEN_TABLE, seed=0):
    return run_episode(world, scene, acting(world, subgoals, low_level, config), own_seeds(seed))


def test_servo_on_true_dynamics_brings_the_puck_to_an_open_goal(push):
    outcome = run(push, no_subgoals, true_servo(push, SMALL))
    first, last = outcome.measures[0], outcome.measures[-1]
    assert first["distance"] == pytest.approx(np.hypot(0.1, 0.6))
    assert last["distance"] < 0.1
    assert outcome.steps < 40 and outcome.stop == "goal"
    assert last["distance"] == pytest.approx(path_length(OPEN_TABLE, np.array(last["puck"])))
    assert len(outcome.measures) == len(outcome.frames) == outcome.steps + 1


def test_same_seed_same_episode(push):
    servo = true_servo(push, SMALL)
    scene = replace(OPEN_TABLE, steps=6)
    one, two, other = (run(push, no_subgoals, servo, scene=scene, seed=seed) for seed in (1, 1, 2))
    assert one.measures == two.measures
    assert one.measures[-1]["puck"] != other.measures[-1]["puck"]


def test_every_search_has_a_seed_of_its_own_and_subgoals_have_8_bits(push):
    seeds, shown = [], []
    far = picture_with_puck_at(push, OPEN_TABLE, (0.7, 0.0)) * 0.999

    def subgoals(now, goal, generator):
        seeds.append(("plan", generator.initial_seed()))
        return far

    class Noting(Still):
        def acting(self, request):
            torch.rand(
                len(seeds), generator=request.generator
            )  # what one search draws is nothing to the next
            seeds.append(("action", request.generator.initial_seed()))
            shown.append(request.subgoal)
            return (yield from super().acting(request))

    config = EpisodeConfig(max_steps_per_subgoal=2, replan="missed")
    run(push, subgoals, Noting(), config, scene=replace(OPEN_TABLE, steps=4), seed=9)
    expected = [("plan", 0), ("action", 0), ("action", 1), ("plan", 2), ("action", 2), ("action", 3)]
    assert seeds == [(purpose, search_seed(9, step, purpose)) for purpose, step in expected]
    assert len(set(seeds)) == len(seeds) and search_seed(10, 0, "plan") != seeds[0][1]
    assert not torch.equal(shown[0], far)
    assert torch.equal(shown[0], to_tensor(to_bytes(far)))


def test_missed_subgoals_are_given_up_after_their_steps_but_the_goal_is_not(push):
    places = [(-0.6, 0.0), (0.6, 0.0)]
    frames = torch.cat([picture_with_puck_at(push, OPEN_TABLE, place) for place in places])
    still = Still()
    outcome = run(
        push,
        lambda *_: frames,
        still,
        EpisodeConfig(max_steps_per_subgoal=3),
        scene=replace(OPEN_TABLE, steps=9),
    )
    columns = [round(x) for x, _ in still.asked]
    assert outcome.steps == 9 and outcome.stop == "steps"
    assert len({*columns[:3]}) == len({*columns[3:6]}) == len({*columns[6:]}) == 1
    assert columns[0] < columns[6] < columns[3]  # left subgoal, right subgoal, goal in the middle
    assert [fresh for _, fresh in still.asked] == [True, False, False, True, False, False, True, False, False]


def test_reached_subgoals_are_skipped_at_once(push):
    here = picture_with_puck_at(push, OPEN_TABLE, (0.01, -0.3))
    still = Still()
    run(push, lambda *_: here, still, scene=replace(OPEN_TABLE, steps=1))
    goal = PUCK.blob(picture_with_puck_at(push, OPEN_TABLE, OPEN_TABLE.goal)).centre[0, 0]
    assert still.asked[0][0] == pytest.approx(float(goal), abs=0.5)


def test_subgoals_without_a_puck_are_dropped(push):
    blank = torch.full((2, 3, 64, 64), 0.4)
    still = Still()
    outcome = run(push, lambda *_: blank, still, scene=replace(OPEN_TABLE, steps=2))
    assert outcome.steps == 2
    assert outcome.whole == [[False, False]]
    assert not np.isnan([x for x, _ in still.asked]).any()


def test_episode_ends_when_the_picture_shows_the_puck_at_the_goal(push):
    done = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.1, 0.3), goal=(0.1, 0.3), finger=(0.0, -0.6))
    outcome = run(push, no_subgoals, Still(), scene=done)
    assert (outcome.steps, outcome.stop) == (0, "goal")


def test_replanning_happens_when_a_subgoal_was_missed(push):
    far = picture_with_puck_at(push, OPEN_TABLE, (0.7, 0.0))
    calls = []

    def subgoals(now, goal, generator):
        calls.append(now)
        return far

    config = EpisodeConfig(max_steps_per_subgoal=3, replan="missed")
    scene = replace(OPEN_TABLE, steps=7)
    outcome = run(push, subgoals, Still(), config, scene=scene)
    assert len(calls) == len(outcome.plan_seconds) == 3
    calls.clear()
    run(push, subgoals, Still(), config.model_copy(update={"replan": "never"}), scene=scene)
    assert len(calls) == 1


def test_outcome_has_a_picture_per_step_and_the_plan(push):
    frames = torch.cat([picture_with_puck_at(push, OPEN_TABLE, (0.3, 0.0))])
    short = replace(OPEN_TABLE, steps=4)
    outcome = run(push, lambda *_: frames, RandomActions(2, clipped_normal), scene=short)
    assert len(outcome.frames) == 5
    assert np.array_equal(to_tensor(outcome.strips[0][0]), frames[0])
    assert outcome.whole == [[True]]
    assert outcome.plans[0][0] == pytest.approx(PUCK.blob(frames).centre[0].tolist())


def test_outcome_says_which_picture_of_which_plan_was_pursued(push):
    far = [picture_with_puck_at(push, OPEN_TABLE, place) for place in [(0.7, 0.0), (-0.7, 0.0)]]
    blank = torch.full((1, 3, 64, 64), 0.4)
    config = EpisodeConfig(max_steps_per_subgoal=2)
    frames = torch.cat([far[0], blank, far[1]])
    outcome = run(push, lambda *_: frames, Still(), config, scene=replace(OPEN_TABLE, steps=6))
    # The blank one is skipped, the goal comes last.
    assert outcome.pursued == [(0, 0), (0, 0), (0, 2), (0, 2), (0, 3), (0, 3)]
    replanned = config.model_copy(update={"replan": "missed"})
    outcome = run(push, lambda *_: frames, Still(), replanned, scene=replace(OPEN_TABLE, steps=4))
    assert outcome.pursued == [(0, 0), (0, 0), (1, 0), (1, 0)]
    assert [len(strip) for strip in outcome.strips] == [4, 4]


def test_nothing_is_done_about_a_goal_without_a_puck():
    green = PushWorld(variation=Variation(puck_color=(0.1, 0.7, 0.2)))
    outcome = run(green, no_subgoals, true_servo(green, SMALL))
    green.close()
    assert (outcome.steps, outcome.plans, len(outcome.frames), outcome.stop) == (0, [], 1, "unseen")
    assert [measures["puck"] for measures in outcome.measures] == [OPEN_TABLE.puck]


def test_an_episode_can_be_watched_and_ended_after_any_step(push):
    frames = picture_with_puck_at(push, OPEN_TABLE, (0.6, 0.0))
    config, scene = EpisodeConfig(max_steps_per_subgoal=2), replace(OPEN_TABLE, steps=5)
    servo = true_servo(push, SMALL)
    actor = acting(push, lambda *_: frames, servo, config)
    running, moments = episode(push, *push.begin(scene), scene.steps, actor, own_seeds(0)), []
    while len(moments) < 4:
        if (asked := running.send(None)) is not None:
            moments.append(asked)
    assert running.send(None) is None
    with pytest.raises(StopIteration) as end:
        running.send("deadline")
    outcome = end.value.value
    assert outcome.stop == "deadline"
    assert [moment.step for moment in moments] == [0, 1, 2, 3] and outcome.steps == 3
    assert moments[0].action is None and all(moment.action.shape == (2,) for moment in moments[1:])
    assert [moment.subgoal for moment in moments] == [0, 0, 0, 1]
    assert [place for _, place in outcome.pursued] == [0, 0, 1]
    assert all(np.array_equal(a.picture, b) for a, b in zip(moments, outcome.frames, strict=True))
    assert [moment.measures for moment in moments] == outcome.measures
    last = outcome.measures[-1]
    assert last["distance"] == path_length(scene, np.array(last["puck"]))
    whole = run(push, lambda *_: frames, servo, config, scene)
    assert whole.steps == 5 and whole.stop == "steps"
    assert np.array_equal(whole.frames[3], outcome.frames[3])


def test_roll_outs_of_a_learned_servo_are_left_to_others(push):
    config = StructVRNNConfig(
        bodies=("puck", "finger"), actions=2, keypoints=4, hidden=8, latent=2, widths=(0, 4, 8)
    )
    model = PlaceModel(StructVRNN(config), config.bodies)
    servo = PlaceServo(model, Servo(model, action_cost(PUCK_GOAL), SMALL), 4)
    actor = acting(push, no_subgoals, servo)
    running = episode(push, *push.begin(OPEN_TABLE), OPEN_TABLE.steps, actor, own_seeds(0))
    start, asked = next(running), running.send(None)
    assert isinstance(start, Moment) and isinstance(asked, RollOut)
    assert isinstance(running.send(asked.alone()), RollOut)  # that of the search's second iteration
    with pytest.raises(StopIteration) as end:
        running.throw(Interrupted("deadline"))
    outcome = end.value.value
    assert (outcome.steps, outcome.pursued, outcome.stop) == (0, [], "deadline")


def test_another_goal_and_length_can_be_given(push):
    far, shown = push.begin(replace(OPEN_TABLE, puck=(0.7, 0.0)))[0], Still()
    actor = acting(push, no_subgoals, shown)
    outcome = run_episode(push, OPEN_TABLE, actor, own_seeds(0), goal=far, steps=2)
    assert outcome.steps == 2 and np.array_equal(outcome.strips[0][-1], far)
    assert shown.asked[0][0] == float(PUCK.blob(to_tensor(far)[None]).centre[0, 0])
