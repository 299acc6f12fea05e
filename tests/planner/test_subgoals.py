"""TAP and demonstrations as sources of subgoals; the others are covered by episodes and evaluation."""

import pytest
import torch

from envs.push.scene import Scene, Wall
from envs.push.world import PushWorld
from planner.subgoals import TAP_DRAWS, oracle_subgoals, tap_subgoals
from world_models.keyin import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.segmenter import PUCK_GOAL
from world_models.tap.config import TapConfig
from world_models.tap.model import Tap


def models() -> tuple[Tap, KeyIn]:
    rng = torch.Generator().manual_seed(0)
    config = TapConfig(embedding=KEYIN_DEBUG.model.embedding, latent=2, hidden=8)
    tap, pictures = Tap(config).eval(), KeyIn(KEYIN_DEBUG.model).eval()
    for parameter in [*tap.parameters(), *pictures.parameters()]:
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return tap, pictures


def test_tap_takes_the_first_plan_with_the_most_plausible_pictures() -> None:
    tap, pictures = models()
    now, goal = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).unbind(0)
    seen: list[torch.Tensor] = []

    def plausible(frames: torch.Tensor) -> torch.Tensor:
        seen.append(frames)
        return torch.arange(len(frames)) < (3 if len(seen) == 4 else 1)

    subgoals = tap_subgoals(tap, pictures, 3, plausible)(now, goal, torch.Generator().manual_seed(2))
    assert len(seen) == 4  # a plan without fault ends the search
    assert torch.equal(subgoals, seen[3])

    seen.clear()
    subgoals = tap_subgoals(tap, pictures, 4, plausible)(now, goal, torch.Generator().manual_seed(2))
    assert len(seen) == TAP_DRAWS  # no plan is without fault, and the fourth has the fewest
    assert torch.equal(subgoals, seen[3])
    assert not torch.equal(seen[0], seen[1])


def test_oracle_shows_the_puck_on_its_way_round_the_wall(push: PushWorld) -> None:
    across = Scene((Wall((0.0, 0.1), 0.0),), puck=(0.0, -0.3), goal=(0.1, 0.5), finger=(0.0, 0.0))
    frames = oracle_subgoals(push, across)(*[torch.zeros(1, 3, 64, 64)] * 2, torch.Generator())
    assert frames.shape == (5, 3, 64, 64)
    columns = PUCK_GOAL.segmenter.blob(frames).centre[:, 0]
    wall_end = 0.4 * 24.0
    assert (columns - 31.5).abs().max() > wall_end
    assert torch.equal(frames, oracle_subgoals(push, across)(frames[:1], frames[:1], torch.Generator()))


def test_a_task_that_nobody_can_demonstrate_has_no_subgoals(
    push: PushWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envs.push.world.find_demonstration", lambda env, scene, rhythm: None)
    scene = Scene((Wall((0.0, 0.1), 0.0),), puck=(0.0, -0.3), goal=(0.1, 0.5), finger=(0.0, 0.0))
    goal = torch.zeros(1, 3, 64, 64)
    assert oracle_subgoals(push, scene)(goal, goal, torch.Generator()).shape == (0, 3, 64, 64)
