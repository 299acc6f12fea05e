"""Looks: the same moments in the usual world and in another, for encoders that are to see them alike."""

import colorsys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.corruption import Corruption
from envs.looks import PAIRS, Look, as_sequences
from envs.push.env import PushEnv, standard_view
from envs.push.play import BODIES, beside, free_place
from envs.push.scene import Scene
from envs.push.tasks import draw_sampler
from envs.push.variation.distractors import SHAPES, Distractor
from envs.push.variation.factors import Variation
from world_models.data import Sequences

FIELD_OF_VIEW = 40.0
"""Of the camera, degrees."""
FREE = 1.1
"""A finger anywhere is within this distance of the table's middle, per axis."""

Array = NDArray[np.float64]


def draw_looks(seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count`` of the data set with this seed."""
    usual = PushEnv()
    try:
        looks = [_look(usual, np.random.default_rng([seed, first + k, 0x100C])) for k in range(count)]
    finally:
        usual.close()
    return as_sequences(looks, actions=2)


def draw_variation(rng: np.random.Generator) -> Variation:
    """A world at random: each factor is the usual one now and then."""
    changed: dict[str, Any] = {}
    usual = Variation()
    if rng.random() < 0.5:  # other colours of the puck are the eye's business
        changed["puck_color"] = _clipped(np.array(usual.puck_color) + rng.normal(0, 0.07, 3))
    if rng.random() < 0.6:
        changed["wall_color"] = _colour(rng, (0.3, 1.0), (0.5, 0.95))
    if rng.random() < 0.4:
        grey = np.full(3, rng.uniform(0.2, 0.5)) * rng.uniform(0.9, 1.1, 3)
        table = np.array(usual.table_color) * rng.uniform(0.7, 1.3, 3) if rng.random() < 0.6 else grey
        changed["table_color"] = _clipped(table)
    if rng.random() < 0.3:
        changed["table_texture"] = rng.uniform(0, 0.15)
    if rng.random() < 0.7:
        changed["light"] = rng.uniform(0.7, 1.3)
    if rng.random() < 0.4:
        changed["light_from"] = (rng.uniform(-180, 180), rng.uniform(40, 90))
    if rng.random() < 0.6:
        changed["puck_radius"] = rng.uniform(0.8, 1.2)
    if rng.random() < 0.6:
        changed["camera_pitch"] = rng.uniform(-0.4, 0.4)  # what the eye leaves of a larger one
    if rng.random() < 0.5:
        changed["distractors"] = tuple(_distractor(rng) for _ in range(rng.integers(1, 3)))
    return Variation(**changed, corruption=_corruption(rng))


def _corruption(rng: np.random.Generator) -> Corruption:
    changed: dict[str, Any] = {}
    if rng.random() < 0.4:
        changed["white_balance"] = tuple(rng.uniform(0.85, 1.15, 3).tolist())
    if rng.random() < 0.4:
        changed["gamma"] = float(np.exp(rng.uniform(-0.45, 0.45)))
    if rng.random() < 0.25:
        changed["blur"] = rng.uniform(0, 0.8)
    if rng.random() < 0.4:
        changed["noise"] = rng.uniform(0, 0.045)
    if rng.random() < 0.2:
        changed["jpeg"] = int(rng.integers(35, 91))
    return Corruption(**changed)


def _distractor(rng: np.random.Generator) -> Distractor:
    shape = sorted(SHAPES)[rng.integers(len(SHAPES))]
    return Distractor(shape=shape, color=_colour(rng, (0.0, 1.0), (0.1, 0.95)))


def _colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))


def _clipped(colour: Array) -> tuple[float, float, float]:
    red, green, blue = np.clip(colour, 0, 1).tolist()
    return red, green, blue


def _look(usual: PushEnv, rng: np.random.Generator) -> Look:
    """States are x and y of puck and finger in table units, then their pixels in the usual view."""
    other = PushEnv(draw_variation(rng))
    try:
        size = usual.observation_space.shape[0]  # type: ignore[index]
        frames = np.empty((2, PAIRS, size, size, 3), np.uint8)
        states = np.empty((2, PAIRS, 4 * len(BODIES)), np.float32)
        for index, scene in enumerate(_moments(rng)):
            for row, env in enumerate((usual, other)):
                env.start(scene)
                frames[row, index] = env.render()
                positions = env.positions()
                points = np.stack([positions[body] for body in BODIES])
                pixels = standard_view(size)(points, 0.0)
                states[row, index] = np.concatenate([points.ravel(), pixels.ravel()])
    finally:
        other.close()
    return frames.reshape(2 * PAIRS, size, size, 3), states.reshape(2 * PAIRS, -1)


def _moments(rng: np.random.Generator) -> Iterator[Scene]:
    """A scene at its start, as it should be, then with the puck anywhere and the finger beside it or not."""
    scene = draw_sampler(rng)(rng)
    yield scene
    yield replace(scene, puck=scene.goal)
    for _ in range(PAIRS - 2):
        puck = free_place(scene.walls, rng)
        finger = beside(puck, rng) if rng.random() < 0.6 else rng.uniform(-FREE, FREE, 2)
        yield replace(scene, puck=(puck[0], puck[1]), finger=(finger[0], finger[1]))
