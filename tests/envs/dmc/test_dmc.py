import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import pytest
from dm_control import suite
from gymnasium.utils.env_checker import check_env

from envs.dmc.env import DmcEnv
from envs.dmc.tasks import CONTROL_STEPS, TASKS, find_task

MakeEnv = Callable[[str], DmcEnv]


@pytest.fixture(scope="module")
def made() -> Iterator[MakeEnv]:
    """One environment per task for the whole file: making one is the slow part."""
    envs: dict[str, DmcEnv] = {}

    def make(task: str) -> DmcEnv:
        if task not in envs:
            envs[task] = gymnasium.make(TASKS[task].id).unwrapped
        return envs[task]

    yield make
    for env in envs.values():
        env.close()


def wander(env: DmcEnv, steps: int, seed: int = 0) -> np.ndarray:
    """Take the same random action for a few steps; the last picture."""
    env.reset(seed=seed)
    action = np.random.default_rng(seed).uniform(-1, 1, env.action_size)
    for _ in range(steps):
        picture = env.step(action)[0]
    return picture


@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_accepts_every_task(made, task):
    env = made(task)
    assert env.observation_space.shape == (64, 64, 3)
    assert env.action_space.shape == (TASKS[task].actions,)
    with warnings.catch_warnings():
        # The checker asks for a symmetric action range, which this is, but warns about float64.
        warnings.simplefilter("ignore", UserWarning)
        check_env(env, skip_render_check=True)


@pytest.mark.parametrize("task", TASKS)
def test_recorded_positions_lie_on_the_bodies(made, task):
    env = made(task)
    picture = wander(env, 6).astype(int)
    warm = picture[..., 0] > picture[..., 2]  # bodies are orange, everything else is blue
    assert 0.005 < warm.mean() < 0.15
    pixels = env.state()[env.observation_size :].reshape(-1, 2)
    assert len(pixels) == len(env.bodies)
    rows, columns = np.nonzero(warm)
    for name, (x, y) in zip(env.bodies, pixels, strict=True):
        assert np.hypot(columns - x, rows - y).min() < 1.0, name


def test_camera_follows_the_walker(made):
    env = made("walker-walk")
    env.reset(seed=0)
    before = env._data.cam_xpos[env._camera].copy()
    wander(env, 20)
    assert np.linalg.norm(env._data.cam_xpos[env._camera] - before) > 0.2
    assert np.abs(env.state()[env.observation_size :] - 31.5).max() < 32


def test_same_seed_same_pictures(made):
    env = made("reacher-easy")
    first, again, other = (wander(env, 3, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    followed = []
    for _ in range(2):
        env.reset(seed=4)
        followed.append([env.reset()[0] for _ in range(2)])
    assert np.array_equal(followed[0], followed[1])
    assert not np.array_equal(followed[0][0], followed[0][1])


def test_reward_and_state_are_those_of_dm_control(made):
    env = made("walker-stand")
    state = env.reset(seed=2)[1]["state"]
    inner = suite.load("walker", "stand")
    inner.task._random = np.random.RandomState(int(np.random.default_rng(2).integers(2**32)))
    expected = inner.reset()
    rng = np.random.default_rng(0)
    for _ in range(4):
        observed = np.concatenate([np.ravel(part) for part in expected.observation.values()])
        assert np.array_equal(state[: env.observation_size], observed)
        action = rng.uniform(-1, 1, 6)
        rewards = []
        for _ in range(2):
            expected = inner.step(action)
            rewards.append(expected.reward)
        _, reward, terminated, truncated, info = env.step(action)
        assert reward == pytest.approx(sum(rewards))
        assert not terminated and not truncated
        state = info["state"]


def test_episode_is_truncated_after_a_thousand_control_steps(made):
    env = made("acrobot-swingup")
    steps = CONTROL_STEPS // 4
    assert gymnasium.spec(env.task.id).max_episode_steps == steps
    env.start(0)
    assert [k for k in range(steps) if env.advance(np.zeros(1))[1]] == [steps - 1]
    assert np.isfinite(env.state()).all()
    with pytest.raises(RuntimeError, match="reset"):
        env.advance(np.zeros(1))


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(made):
    env = made("cartpole-balance")
    env.reset(seed=0)
    for action in (np.zeros(2), np.array([np.nan]), 0.0):
        with pytest.raises(ValueError, match="1 finite numbers"):
            env.step(action)
    with pytest.raises(ValueError, match="goal"):
        env.reset(options={"goal": 1})
    with pytest.raises(ValueError, match="cartpole-balance"):
        find_task("cartpole")
    with pytest.raises(ValueError, match="rgb_array"):
        DmcEnv("cartpole-balance", render_mode="human")


def test_registering_imports_no_simulator():
    code = "import envs, sys; sys.exit(bool({'dm_control', 'mujoco', 'shimmy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
