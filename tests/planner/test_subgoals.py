"""TAP as a source of subgoals; the other planners are covered by episodes and evaluation."""

import torch

from planner.subgoals import TAP_DRAWS, tap_subgoals
from world_models.keyin import KeyIn
from world_models.keyin.presets import KEYIN_DEBUG
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
