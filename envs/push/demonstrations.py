"""Recording demonstrations of the pushing task: simulate, keep the successes, then render."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.push.arm import REACH
from envs.push.demonstrator import REGULAR, Pusher, plan_pushes
from envs.push.env import PushEnv
from envs.push.rhythms import FRAMES, PUSHES, Rhythm
from envs.push.scene import (
    FINGER_CLEARANCE,
    MOST_WALLS,
    PUCK_RADIUS,
    TABLE,
    Scene,
    is_free,
    path_length,
)
from envs.push.tasks import Sample, draw_sampler
from world_models.data import Sequences

KEPT_DISTANCE = 0.1
"""A demonstration that leaves the puck farther than this from the goal (table units) is dropped."""
PLAN_DRAWS = 100
FARTHER = 0.3
"""How much longer the way may be from where the puck is put, table units: it can be pushed back, too."""
FAR_AWAY = np.full(2, 2 * TABLE)
"""A place where a finger touches nothing."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Demonstration:
    """A success, 31 frames T: physics states ``[T, S]``, mean actions ``[T-1, 2]``, flags ``[T]``."""

    scene: Scene
    states: Array
    actions: Array
    keyframes: Array


def demonstrate(
    env: PushEnv, scene: Scene, rng: np.random.Generator, rhythm: Rhythm = REGULAR
) -> Demonstration | None:
    """One attempt at ``scene``; ``None`` without a plan, or if six pushes were not finished in time."""
    drawn = (plan_pushes(scene, rng, rhythm.steps, rhythm) for _ in range(PLAN_DRAWS))
    plan = next((plan for plan in drawn if plan is not None), None)
    if plan is None:
        return None
    pusher = Pusher(plan, np.array(scene.puck))
    found = carry_out(
        env, scene, rhythm.steps, lambda positions: pusher.act(positions["puck"], positions["finger"])
    )
    if pusher.finished < PUSHES or path_length(scene, env.positions()["puck"]) > KEPT_DISTANCE:
        return None
    return found


def carry_out(
    env: PushEnv, scene: Scene, steps: int, act: Callable[[dict[str, Array]], tuple[Array, bool]]
) -> Demonstration:
    """Record so many control steps from the start of ``scene``, as 31 frames.

    ``act`` answers, from the true positions (:meth:`PushEnv.positions`), an action ``[2]`` and whether a push
    has just ended.
    """
    env.start(scene)
    stride = steps // (FRAMES - 1)
    states, actions, ends = [env.get_state()], [], []
    for step in range(steps):
        action, reached = act(env.positions())
        if reached:
            ends.append(step)
        env.advance(action)
        actions.append(action)
        states.append(env.get_state())
    keyframes = np.zeros(FRAMES, dtype=bool)
    keyframes[np.minimum(-(-np.array(ends, dtype=np.int64) // stride), FRAMES - 1)] = True
    return Demonstration(
        scene=scene,
        states=np.stack(states[::stride]),
        actions=np.stack(actions).reshape(FRAMES - 1, stride, 2).mean(axis=1),
        keyframes=keyframes,
    )


def keeps_rhythm(demonstration: Demonstration, rhythm: Rhythm) -> bool:
    """Whether every push lasts as many frames as the rhythm allows."""
    lengths = np.diff(np.flatnonzero(demonstration.keyframes), prepend=0)
    first, later = lengths[0], lengths[1:]
    return bool(
        len(lengths) == PUSHES
        and rhythm.first[0] <= first <= rhythm.first[1]
        and rhythm.later[0] <= later.min()
        and later.max() <= rhythm.later[1]
    )


def draw_demonstration(
    env: PushEnv,
    seed: int,
    index: int,
    rhythm: Rhythm = REGULAR,
    anywhere: float = 0.0,
    draw: Callable[[np.random.Generator], Sample] = draw_sampler,
) -> Demonstration:
    """Sequence ``index`` of the data set with this seed: the first attempt that qualifies, at a scene of the
    kind that ``draw`` has drawn.

    In the share ``anywhere`` of attempts it begins as if in mid-episode: the finger is anywhere, not in the
    middle of the table, and in half of them the puck is anywhere, too. Depends on nothing but its arguments,
    so any process may make any sequence.
    """
    rng = np.random.default_rng([seed, index])
    sample = draw(rng)
    while True:
        scene = sample(rng)
        if anywhere and rng.random() < anywhere:
            if rng.random() < 0.5:
                scene = replace(scene, puck=_on_the_way(scene, rng))
            scene = replace(scene, finger=_anywhere(np.array(scene.puck), rng))
        demonstration = demonstrate(env, scene, rng, rhythm)
        if demonstration is not None and keeps_rhythm(demonstration, rhythm):
            return demonstration


def _on_the_way(scene: Scene, rng: np.random.Generator) -> tuple[float, float]:
    """A place of the puck that is hardly farther from the goal than in the scene, and not at the goal."""
    farthest = path_length(scene, np.array(scene.puck)) + FARTHER
    while True:
        place = rng.uniform(PUCK_RADIUS - TABLE, TABLE - PUCK_RADIUS, size=2)
        if is_free(scene, place, FAR_AWAY) and KEPT_DISTANCE < path_length(scene, place) < farthest:
            return float(place[0]), float(place[1])


def _anywhere(puck: Array, rng: np.random.Generator) -> tuple[float, float]:
    """A place of the finger that does not touch the puck."""
    while True:
        x, y = rng.uniform(-REACH, REACH, size=2)
        if np.hypot(x - puck[0], y - puck[1]) >= FINGER_CLEARANCE:
            return float(x), float(y)


def render_sequences(env: PushEnv, demonstrations: list[Demonstration]) -> Sequences:
    """The pictures and true positions of demonstrations.

    The states of the result are ``[puck, finger, goal]`` (x, y each), then x, y, angle and half-length of
    both walls; NaN where there is no second one. Where there is a second puck, its place and goal follow.
    """
    frames, positions = [], []
    for demonstration in demonstrations:
        scene = demonstration.scene
        env.start(scene)
        for state in demonstration.states:
            env.set_state(state)
            now = env.positions()
            frames.append(env.render())
            positions.append([*now["puck"], *now["finger"], *scene.goal, *_walls(scene), *_second(now)])
    shape = (len(demonstrations), FRAMES)
    return Sequences(
        frames=np.stack(frames).reshape(*shape, *frames[0].shape),
        actions=np.stack([d.actions for d in demonstrations]).astype(np.float32),
        keyframes=np.stack([d.keyframes for d in demonstrations]),
        states=np.array(positions, dtype=np.float32).reshape(*shape, -1),
    )


def _second(positions: dict[str, Array]) -> list[float]:
    names = [name for name in ("second_puck", "second_goal") if name in positions]
    return [float(value) for name in names for value in positions[name]]


def _walls(scene: Scene) -> list[float]:
    values = [value for wall in scene.walls for value in (*wall.middle, wall.angle, wall.half_length)]
    return values + [np.nan] * (4 * MOST_WALLS - len(values))
