from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from envs.dmc.env import DmcEnv
from envs.dmc.simulator import DmcSimulator, DmcState
from envs.dmc.tasks import TASKS

MakeEnv = Callable[[str], DmcEnv]


@pytest.fixture(scope="module")
def made() -> Iterator[MakeEnv]:
    """One environment per task for the whole file: making one is the slow part."""
    envs: dict[str, DmcEnv] = {}

    def make(task: str) -> DmcEnv:
        if task not in envs:
            envs[task] = DmcEnv(task)
        return envs[task]

    yield make
    for env in envs.values():
        env.close()


def random_actions(env: DmcEnv, rows: int, steps: int = 12) -> torch.Tensor:
    return torch.rand(rows, steps, env.action_size, generator=torch.Generator().manual_seed(1)) * 2.4 - 1.2


def repeated(state: DmcState, rows: int) -> DmcState:
    return DmcState(state.rows.expand(rows, -1), state.target.expand(rows, -1))


def reached(env: DmcEnv, seed: int, steps: int) -> DmcState:
    """The state after some steps of random actions."""
    rng = np.random.default_rng(seed)
    env.start(seed)
    for _ in range(steps):
        env.advance(rng.uniform(-1, 1, env.action_size))
    return DmcSimulator(env, pool=1).observe()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("lead", [0, 60])
def test_imagined_rewards_are_what_the_environment_then_pays(made, task, lead):
    env = made(task)
    simulator = DmcSimulator(env, pool=4)
    for seed in range(3):  # the first state of each is one the simulator was not made in
        state = reached(env, seed, lead)
        actions = random_actions(env, 4)
        imagined = simulator.imagine(repeated(state, 4), actions)
        assert imagined.features.shape == (4, 12, 1)
        paid = [env.advance(action)[0] for action in actions[2].double().numpy()]
        assert imagined.features[2, :, 0].numpy() == pytest.approx(np.array(paid), abs=1e-5)


def test_reaching_the_target_pays(made):
    env = made("reacher-easy")
    simulator = DmcSimulator(env, pool=64)
    held = random_actions(env, 64, 1).expand(-1, 40, -1)
    rewards = simulator.imagine(repeated(reached(env, 3, 0), 64), held).features[..., 0]
    assert rewards.max() == 4.0 and rewards.min() == 0.0


@pytest.mark.parametrize("task", ["cartpole-balance", "reacher-easy", "walker-walk"])
def test_rows_threads_and_later_decisions_do_not_matter(made, task):
    env = made(task)
    states = [reached(env, seed, 5) for seed in range(6)]
    state = DmcState(torch.cat([s.rows for s in states]), torch.cat([s.target for s in states]))
    actions, before = random_actions(env, 6), env.physics_state()
    simulator = DmcSimulator(env, pool=8)
    together = simulator.imagine(state, actions)
    assert together.times[0].tolist() == list(range(1, 13))
    alone = simulator.imagine(DmcState(state.rows[4:5], state.target[4:5]), actions[4:5]).features
    assert torch.equal(together.features[4:5], alone)
    two = DmcSimulator(env, pool=8, threads=2).imagine(state, actions).features
    assert torch.equal(together.features, two)
    actions[:, 9:] = -actions[:, 9:]
    later = simulator.imagine(state, actions).features
    assert torch.equal(together.features[:, :9], later[:, :9])
    assert np.array_equal(env.physics_state(), before)


def test_a_simulation_that_diverges_has_no_reward(made):
    env = made("walker-stand")
    state, actions = repeated(reached(env, 0, 5), 3), random_actions(env, 3)
    simulator = DmcSimulator(env, pool=3)
    sound = simulator.imagine(state, actions).features
    rows = state.rows.clone()
    rows[1, 1 + env.model.nq] = 1e12  # after the time and the positions: a velocity
    broken = simulator.imagine(DmcState(rows, state.target), actions).features
    assert broken[1].isnan().all()
    assert torch.equal(broken[[0, 2]], sound[[0, 2]])


def test_pool_names_its_size_when_it_is_too_small(made):
    env = made("cartpole-balance")
    with pytest.raises(ValueError, match="pool of 2"):
        DmcSimulator(env, pool=2).imagine(repeated(reached(env, 0, 0), 3), random_actions(env, 3))
