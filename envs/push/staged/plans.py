"""The demonstrator of scenes with stages: one puck is pushed to its goal, then the other; or round a corner.

How long a stage takes is drawn, so that its end says little about when the next one ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from envs.push import arm
from envs.push.demonstrator import CONTACT, STANDOFF, Pusher, PushPlan
from envs.push.scene import PUCK_RADIUS, Scene, blocked

Array = NDArray[np.float64]

CORNER_LEISURE = (0.5, 0.5, 0.5, 0.5)
"""Parameters of the Dirichlet distribution that shares spare time among a rest, the legs and a last rest."""
TWO_PUCKS_LEISURE = (0.25, 0.25, 0.25, 0.4, 0.4)
"""Of these legs one is of the second puck. What comes before the turn in the gap gets as much as the rest."""
CLEARANCE = PUCK_RADIUS + 0.02


@dataclass(frozen=True)
class Stage:
    """Pushes of one puck: the number of the puck, and what is intended with it."""

    puck: int
    plan: PushPlan


@dataclass(frozen=True)
class StagePlan:
    """Stages one after another, after a rest of so many steps."""

    rest: int
    stages: tuple[Stage, ...]


def plan_stages(scene: Scene, rng: np.random.Generator, steps: int) -> StagePlan | None:
    """Draw the stages of a demonstration, or ``None`` where this draw does not fit into ``steps``."""
    legs: tuple[int, ...]
    leisure: tuple[float, ...]
    if scene.second is None:
        routes, legs, leisure = [(0, _round_the_corner(scene, rng))], (2, 2), CORNER_LEISURE
    else:
        routes = [(1, _out_of_the_gap(scene)), (0, _through_the_gap(scene, rng))]
        legs, leisure = (2, 1, 1), TWO_PUCKS_LEISURE
    finger, least = np.array(scene.finger), []
    for _, route in routes:
        if any(blocked(scene, start, end, CLEARANCE) for start, end in pairwise(route)):
            return None
        for start, end in pairwise(route):
            least.append(_least_steps(start, end, finger))
            finger = end - STANDOFF * _unit(end - start)
    spare = steps - 2 - sum(least)
    if spare < 0:
        return None
    # Most of the time to spare goes to one leg or rest or another, so that what lies between them comes early
    # or late.
    first, *shares, _ = rng.dirichlet(leisure) * spare
    durations = np.array(least) + np.repeat(np.array(shares) / legs, legs).astype(np.int64)
    ends = np.cumsum([len(route) - 1 for _, route in routes])
    parts = np.split(durations, ends[:-1])
    plans = zip(routes, parts, strict=True)
    return StagePlan(
        int(first),
        tuple(Stage(puck, PushPlan(route[1:], part, np.zeros_like(part))) for (puck, route), part in plans),
    )


def _least_steps(start: Array, end: Array, finger: Array) -> int:
    """Steps of a push in no hurry: the finger gets behind the puck first."""
    heading = _unit(end - start)
    offset = finger - start
    turn = np.arccos(np.clip(-(offset @ heading) / max(float(np.linalg.norm(offset)), 1e-9), -1.0, 1.0))
    approach = max(float(np.linalg.norm(offset + STANDOFF * heading)), STANDOFF * float(turn))
    return int(np.ceil((approach + float(np.linalg.norm(end - start))) / (0.9 * arm.STEP))) + 2


def _round_the_corner(scene: Scene, rng: np.random.Generator) -> Array:
    """Four pushes: two inside the L, two behind its arm."""
    floor, arm_wall = scene.walls
    ends = arm_wall.end_points(0.0)
    joint = np.array(floor.middle)
    tip = max(ends, key=lambda end: float(np.linalg.norm(end - joint)))
    upward = _unit(tip - np.array(arm_wall.middle))
    across = np.array([-upward[1], upward[0]])
    gate = tip + rng.uniform(0.25, 0.38) * upward + rng.uniform(-0.06, 0.06) * across
    puck, goal = np.array(scene.puck), np.array(scene.goal)
    return np.stack(
        [
            puck,
            puck + rng.uniform(0.35, 0.65) * (gate - puck),
            gate,
            gate + rng.uniform(0.35, 0.65) * (goal - gate),
            goal,
        ]
    )


def _out_of_the_gap(scene: Scene) -> Array:
    """Two pushes of the second puck: straight out of the gap, then aside."""
    assert scene.second is not None
    gap, away = (np.array(point) for point in scene.second)
    wall = scene.walls[0]
    normal = np.array([-wall.along[1], wall.along[0]])
    out = gap + 0.8 * ((away - gap) @ normal) * normal
    return np.stack([gap, out, away])


def _through_the_gap(scene: Scene, rng: np.random.Generator) -> Array:
    """Two pushes of the puck: into the gap, clear of the end of the wall that it goes round, then to
    the goal.
    """
    assert scene.second is not None
    gap = np.array(scene.second[0])
    ends = scene.walls[0].end_points(0.0)
    end = min(ends, key=lambda end: float(np.linalg.norm(end - gap)))
    gate = end + rng.uniform(1.25, 1.4) * (gap - end)
    return np.stack([np.array(scene.puck), gate, np.array(scene.goal)])


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


class StagedPusher:
    """Carries out stages one after another, one action per call; ``finished`` says when all are done."""

    def __init__(self, plan: StagePlan) -> None:
        self._rest, self._stages = plan.rest, plan.stages
        self._pusher: Pusher | None = None
        self._now = 0

    @property
    def finished(self) -> bool:
        """Whether every push of every stage is done."""
        return self._now == len(self._stages)

    def act(self, pucks: Sequence[Array], finger: Array) -> tuple[Array, bool]:
        """Action ``[2]`` of norm at most 1, and whether a push just ended."""
        if self.finished or self._rest:
            self._rest = max(self._rest - 1, 0)
            return np.zeros(2), False
        stage = self._stages[self._now]
        if self._pusher is None:
            self._pusher = Pusher(stage.plan, pucks[stage.puck])
        action, reached = self._pusher.act(pucks[stage.puck], finger)
        if self._pusher.finished == len(stage.plan.subgoals):
            self._now, self._pusher = self._now + 1, None
        for other, puck in enumerate(pucks):
            if other != stage.puck:
                action = _keep_off(puck, finger, action)
        return action, reached


def _keep_off(puck: Array, finger: Array, action: Array) -> Array:
    """The action without what of it would touch this puck: the finger goes round it."""
    offset = finger - puck
    distance = float(np.linalg.norm(offset))
    outward = offset / max(distance, 1e-9)
    inward = -float(action @ outward) * arm.STEP
    allowed = max(distance - CONTACT - 0.02, 0.0)
    if inward <= allowed:
        return action
    sideways = action + (inward / arm.STEP) * outward
    if float(np.linalg.norm(sideways)) < 0.3:  # head-on: choose a side
        sideways = np.array([-outward[1], outward[0]])
    return sideways / max(1.0, float(np.linalg.norm(sideways)))
