"""The demonstrator: a rule-based pusher that knows the true positions.

The pusher follows the KeyIn authors' protocol (section 7): it draws subgoals between the puck and the goal
round one end of the wall, then pushes the puck to each of them in turn.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from envs.push import arm
from envs.push.rhythms import PUSHES, RHYTHMS, Rhythm
from envs.push.scene import PUCK_RADIUS, TABLE, Scene, Wall, blocked

Array = NDArray[np.float64]

REGULAR = RHYTHMS["regular"]
CONTACT = PUCK_RADIUS + 0.05
"""Distance of finger and puck centre when they touch."""
STANDOFF = CONTACT + 0.03
"""Radius of the circle on which the finger travels round the puck."""


@dataclass(frozen=True)
class PushPlan:
    """The intention: puck subgoals ``[P, 2]`` in table units, the env steps ``[P]`` of each push, and of the
    rest before it.
    """

    subgoals: Array
    durations: NDArray[np.int64]
    rests: NDArray[np.int64]


def plan_pushes(
    scene: Scene, rng: np.random.Generator, steps: int, rhythm: Rhythm = REGULAR
) -> PushPlan | None:
    """Draw six pushes round a random end of each wall, or ``None`` where this draw does not fit.

    Pushes and rests have the rhythm's tempo and fit into ``steps``, with two to spare.
    """
    start, goal = np.array(scene.puck), np.array(scene.goal)
    gates = [_gate(wall, rng) for wall in scene.walls]
    path = _rounded(np.stack([start, *gates, goal]), share=rng.uniform(0.1, 0.4))
    if np.abs(path).max() > TABLE - PUCK_RADIUS - 0.1:
        return None
    approach = int(np.ceil(_approach_length(np.array(scene.finger), start, path[1]) / arm.STEP))
    tempo = rhythm.draw(rng, approach, steps)
    if tempo is None:
        return None
    durations = tempo.durations
    lengths = rng.uniform(0.7, 1.3, size=PUSHES)
    lengths[0] *= np.clip((durations[0] - approach) / 8, 0.4, 1.0)
    shares = np.cumsum(lengths) / lengths.sum()
    subgoals = _along(path, shares)
    subgoals[:-1] += rng.normal(0.0, 0.02, size=(PUSHES - 1, 2))
    corners = np.vstack([start, subgoals])
    if any(blocked(scene, a, b) for a, b in pairwise(corners)):
        return None
    return PushPlan(subgoals, durations, tempo.rests)


def _gate(wall: Wall, rng: np.random.Generator) -> Array:
    """A point ``[2]`` beyond a random end of the wall where the puck may pass."""
    end = rng.choice([-1.0, 1.0])
    gate = np.array(wall.middle) + end * wall.along * (wall.half_length + rng.uniform(0.22, 0.42))
    return gate + rng.uniform(-0.1, 0.1) * np.array([-wall.along[1], wall.along[0]])


def _rounded(corners: Array, share: float) -> Array:
    """The polyline ``[n, 2]``, each corner cut by a quadratic curve over this share of both its legs."""
    t = np.linspace(0.0, 1.0, 12)[:, None]
    curves = []
    for last, corner, following in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        before, after = corner + share * (last - corner), corner + share * (following - corner)
        curves.append((1 - t) ** 2 * before + 2 * t * (1 - t) * corner + t**2 * after)
    return np.vstack([corners[:1], *curves, corners[-1:]])


def _along(path: Array, shares: Array) -> Array:
    """Points ``[K, 2]`` at these shares of the arc length of ``path``."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return np.stack([np.interp(shares * arc[-1], arc, path[:, k]) for k in range(2)], axis=1)


def _approach_length(finger: Array, puck: Array, target: Array) -> float:
    """Roughly how far the finger travels to get behind the puck, table units."""
    heading = (target - puck) / max(float(np.linalg.norm(target - puck)), 1e-9)
    offset = finger - puck
    distance = float(np.linalg.norm(offset))
    turn = np.arccos(np.clip(-offset @ heading / max(distance, 1e-9), -1.0, 1.0))
    return max(distance - STANDOFF, 0.0) + STANDOFF * float(turn)


class Pusher:
    """Carries out a :class:`PushPlan`, one action per call.

    Each push: rest if so planned, circle the puck until behind it, then push along the line to the subgoal at
    the pace that the planned duration leaves. ``finished`` counts completed pushes.
    """

    def __init__(self, plan: PushPlan, start: Array) -> None:
        self._plan = plan
        self._ends = np.cumsum(plan.durations + plan.rests)
        self._origin = start
        self._time = 0
        self._resting = int(plan.rests[0])
        self.finished = 0

    def act(self, puck: Array, finger: Array) -> tuple[Array, bool]:
        """Action ``[2]`` of norm at most 1, and whether the puck just reached a subgoal."""
        reached = self._advance(puck)
        self._time += 1
        if self.finished == len(self._plan.subgoals):
            return np.zeros(2), reached
        if self._resting:
            self._resting -= 1
            return np.zeros(2), reached
        target = self._plan.subgoals[self.finished]
        heading = _unit(target - puck, fallback=_unit(target - self._origin, np.array([1.0, 0.0])))
        offset = finger - puck
        turn = _signed_angle(-heading, offset)
        behind = abs(turn) < 0.35 and float(np.linalg.norm(offset)) < STANDOFF + 0.06
        move = self._push(puck, finger, target, heading) if behind else _circle(offset, turn)
        return move / max(arm.STEP, float(np.linalg.norm(move))), reached

    def _advance(self, puck: Array) -> bool:
        if self.finished == len(self._plan.subgoals):
            return False
        target = self._plan.subgoals[self.finished]
        line = _unit(target - self._origin, np.array([1.0, 0.0]))
        if float((target - puck) @ line) > 0.02:
            return False
        self._origin = puck.copy()
        self.finished += 1
        if self.finished < len(self._plan.rests):
            self._resting = int(self._plan.rests[self.finished])
        return True

    def _push(self, puck: Array, finger: Array, target: Array, heading: Array) -> Array:
        """One step of pushing: close the gap behind the puck and lead it along ``heading``."""
        remaining = float(np.linalg.norm(target - puck))
        steps_left = max(int(self._ends[self.finished]) - self._time, 1)
        gap = max(float((puck - finger) @ heading) - CONTACT, 0.0)
        pace = min(remaining / steps_left + 0.3 * gap, 0.95 * arm.STEP)
        sideways = (finger - puck) - ((finger - puck) @ heading) * heading
        return pace * heading - 0.8 * sideways


def _circle(offset: Array, turn: float) -> Array:
    """One step towards the place behind the puck, round the circle of radius :data:`STANDOFF`.

    ``offset`` is the finger as seen from the puck, ``turn`` the angle from the place behind the puck to it.
    From far away the finger may aim further round the circle than from nearby without touching the puck.
    """
    reach = 1.2 if float(np.linalg.norm(offset)) > STANDOFF + 0.15 else 0.5
    radial = _unit(offset, np.array([0.0, -1.0]))
    return STANDOFF * _rotate(radial, -float(np.clip(turn, -reach, reach))) - offset


def _rotate(vector: Array, angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _unit(vector: Array, fallback: Array) -> Array:
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 1e-6 else fallback


def _signed_angle(reference: Array, vector: Array) -> float:
    """Angle from ``reference`` to ``vector`` in (-pi, pi]."""
    cross = reference[0] * vector[1] - reference[1] * vector[0]
    return float(np.arctan2(cross, reference @ vector))
