"""Looks of DM Control: the same moments in the usual world and in another."""

import colorsys
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from envs.dmc.env import SEEDS, DmcEnv
from envs.dmc.recordings import random_actions
from envs.dmc.variation import DmcVariation
from envs.looks import PAIRS, Look, as_sequences
from world_models.data import Sequences

APART = 8
"""Steps between the moments of an episode."""


def draw_looks(task: str, seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count`` of the task's data set with this seed."""
    usual = DmcEnv(task)
    try:
        looks = [_look(usual, seed, first + k) for k in range(count)]
    finally:
        usual.close()
    return as_sequences(looks, usual.action_size)


def draw_variation(rng: np.random.Generator) -> DmcVariation:
    """A world at random: each factor is the usual one now and then."""
    changed: dict[str, Any] = {}
    if rng.random() < 0.7:
        changed["light"] = rng.uniform(0.6, 1.4)
    if rng.random() < 0.7:
        changed["body_color"] = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 1), rng.uniform(0.3, 0.95))
    if rng.random() < 0.4:
        # What the eye leaves of a larger one.
        changed["camera_shift"] = tuple(rng.uniform(-0.5, 0.5, 2).tolist())
    return DmcVariation(**changed)


def _look(usual: DmcEnv, seed: int, index: int) -> Look:
    rng = np.random.default_rng([seed, crc32(usual.task.name.encode()), index, 0x100C])
    other = DmcEnv(usual.task.name, variation=draw_variation(rng))
    try:
        usual.start(int(rng.integers(SEEDS)))
        frames, states = list[tuple[NDArray[np.uint8], NDArray[np.uint8]]](), list[NDArray[np.float64]]()
        for step, action in enumerate(random_actions(rng, PAIRS * APART, usual.action_size), start=1):
            usual.advance(action)
            if step % APART == 0:
                frames.append((usual.render(), other.render_state(usual.physics_state())))
                states.append(usual.state())
    finally:
        other.close()
    shown = np.stack(frames, axis=1)
    return shown.reshape(2 * PAIRS, *shown.shape[2:]), np.tile(np.stack(states), (2, 1)).astype(np.float32)
