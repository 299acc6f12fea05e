"""What a low level is to the closed loop, whatever it imagines with."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from planner.learned import LearnedController
from planner.search.servo import Acting, ServoStep
from world_models.interface import Context


@runtime_checkable
class Controller(Protocol):
    """The low level: the next action toward a subgoal picture.

    It is told what was seen and done, and no more: one with true dynamics has to ask its simulator itself.
    """

    def act(
        self,
        seen: Context,
        subgoal: Float[Tensor, "1 C H W"],
        warm_start: Float[Tensor, "1 L A"] | None,
        generator: torch.Generator,
    ) -> ServoStep:
        """The next action.

        Args:
            seen: every picture of the episode so far, and the actions between them.
            subgoal: where to go.
            warm_start: that of the previous step, or None after a change of subgoal.
            generator: randomness of the search, fresh: its initial seed says all about it.
        """
        ...


def searching(
    controller: Controller,
    seen: Context,
    subgoal: Float[Tensor, "1 C H W"],
    warm_start: Float[Tensor, "1 L A"] | None,
    generator: torch.Generator,
) -> Acting:
    """The next action; a learned model's roll-outs are left to whoever drives it, true dynamics are not."""
    if isinstance(controller, LearnedController):
        return (yield from controller.acting(seen, subgoal, warm_start, generator))
    return controller.act(seen, subgoal, warm_start, generator)
