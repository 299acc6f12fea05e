import numpy as np
import pytest
import torch

from envs.push.env import PushEnv
from envs.push.simulator import PushSimulator, SimulatorState
from envs.push.tasks import sample_scene
from envs.rendering import Projection


def contact_state(push: PushEnv) -> SimulatorState:
    """A state in which the finger touches the puck, repeated for 64 roll-outs."""
    scene = sample_scene(np.random.default_rng(2))
    push.start(scene)
    for _ in range(12):
        now = push.positions()
        offset = now["puck"] - now["finger"]
        push.advance(offset / max(np.linalg.norm(offset), 0.1))
    assert push.data.ncon > 0
    state = PushSimulator(push, pool=1).observe()
    return SimulatorState(state.rows.expand(64, -1))


def random_actions(rows: int) -> torch.Tensor:
    return torch.randn(rows, 8, 2, generator=torch.Generator().manual_seed(0))


def test_planned_row_is_what_the_environment_then_does(push):
    state = contact_state(push)
    saved, actions = push.get_state(), random_actions(64)
    planned = PushSimulator(push, pool=64).imagine(state, actions).features
    project = Projection(push.model, "table", 64)
    for row in (0, 7, 63):
        push.set_state(saved)
        for step in range(8):
            push.advance(actions[row, step].double().numpy())
            now = push.positions()
            pixels = project(np.stack([now["puck"], now["finger"]]), 0.0).astype(np.float32).ravel()
            assert np.array_equal(planned[row, step].numpy(), pixels)


def test_one_thread_equals_two(push):
    state, actions = contact_state(push), random_actions(64)
    one = PushSimulator(push, pool=64, threads=1).imagine(state, actions)
    two = PushSimulator(push, pool=64, threads=2).imagine(state, actions)
    assert torch.equal(one.features, two.features)
    assert one.times[0].tolist() == list(range(1, 9))


def test_row_does_not_depend_on_the_others(push):
    state, actions = contact_state(push), random_actions(64)
    simulator = PushSimulator(push, pool=64)
    together = simulator.imagine(state, actions).features
    alone = simulator.imagine(SimulatorState(state.rows[:3]), actions[:3]).features
    assert torch.equal(together[:3], alone)


def test_later_decisions_leave_earlier_steps_alone(push):
    state, actions = contact_state(push), random_actions(64)
    simulator = PushSimulator(push, pool=64)
    before = simulator.imagine(state, actions).features
    actions[:, 5:] = -actions[:, 5:]
    after = simulator.imagine(state, actions).features
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_pool_names_its_size_when_it_is_too_small(push):
    state = contact_state(push)
    with pytest.raises(ValueError, match="pool of 8"):
        PushSimulator(push, pool=8).imagine(state, random_actions(64))


def test_a_simulation_that_diverges_has_no_features(push):
    state, actions = contact_state(push), random_actions(64)
    simulator = PushSimulator(push, pool=64)
    sound = simulator.imagine(state, actions).features
    rows = state.rows.clone()
    rows[2, 1 + push.model.nq] = 1e12  # after the time and the positions: the puck's velocity
    broken = simulator.imagine(SimulatorState(rows), actions).features
    assert broken[2].isnan().all()
    assert torch.equal(broken[3:], sound[3:])
