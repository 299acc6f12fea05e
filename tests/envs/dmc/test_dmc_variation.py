import numpy as np
import pytest
from pydantic import ValidationError

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import load_starts
from envs.dmc.variation import DmcVariation
from envs.dmc.world import DmcWorld

TASK = "cartpole-balance"


def episode(variation, steps=3):
    """Pictures, rewards and true states of one frozen episode under a fixed action."""
    world = DmcWorld(TASK, variation)
    try:
        pictures = [world.begin(load_starts().starts[TASK][1])[0]]
        measures = []
        for _ in range(steps):
            pictures.append(world.step(np.full(1, 0.5, dtype=np.float32)))
            measures.append(world.measure())
    finally:
        world.close()
    return pictures, measures


@pytest.fixture(scope="module")
def standard():
    return episode(None)


@pytest.mark.parametrize(
    "variation",
    [
        DmcVariation(),
        DmcVariation(light=0.7),
        DmcVariation(body_color=(0.3, 0.65, 0.3)),
        DmcVariation(camera_shift=(2.0, -1.0)),
    ],
)
def test_variations_change_pictures_and_nothing_else(standard, variation):
    pictures, measures = episode(variation)
    changed = [not np.array_equal(a, b) for a, b in zip(pictures, standard[0], strict=True)]
    assert changed == [variation != DmcVariation()] * len(changed)
    for mine, plain in zip(measures, standard[1], strict=True):
        assert mine["reward"] == plain["reward"] and np.array_equal(mine["state"], plain["state"])


def test_less_light_darkens_and_a_shifted_camera_shifts(standard):
    dark, _ = episode(DmcVariation(light=0.7))
    lit = standard[0][0].mean(-1) > 100  # the sky shines by itself
    assert dark[0][lit].mean() < standard[0][0][lit].mean()
    shifted, _ = episode(DmcVariation(camera_shift=(2.0, -1.0)))
    # But for rounding at edges.
    assert np.abs(shifted[0][:-1, 2:].astype(int) - standard[0][0][1:, :-2]).mean() < 0.3


def test_only_what_moves_gets_the_bodys_colour():
    env = DmcEnv("reacher-easy", variation=DmcVariation(body_color=(0.1, 0.9, 0.2)))
    plain = DmcEnv("reacher-easy")
    try:
        changed = [
            env.model.mat(index).name
            for index in range(env.model.nmat)
            if not np.array_equal(env.model.mat_rgba[index], plain.model.mat_rgba[index])
        ]
    finally:
        env.close()
        plain.close()
    assert changed == ["self"]


def test_impossible_worlds_are_refused():
    with pytest.raises(ValidationError):
        DmcVariation(light=0.0)
