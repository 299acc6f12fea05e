"""The low level: search action sequences toward one subgoal and return the next action.

Visual servoing as in KeyIn, section 10 and Algorithm 4. A servo remembers nothing: the warm start
goes in and comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from planner.cem import CemConfig, cem, cheapest
from planner.costs import Cost
from planner.rollout import make_score, target_rows
from world_models.interface import Dynamics


class ServoConfig(BaseModel):
    """Search settings of the servo.

    The horizon is that of KeyIn, Table 3. Its search (200 candidates, 3 iterations, white noise, afresh every
    step) is :data:`planner.settings.PAPER_SERVO`; the defaults imagine a sixth of its steps and reach
    subgoals as surely, since smooth noise draws pushes that go somewhere and a warm start goes on with one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: int = Field(default=8, ge=1)
    """Control steps looked ahead."""
    cem: CemConfig = CemConfig(
        candidates=48, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0, kept_fraction=0.3
    )
    """The bound is the largest action."""
    warm_start: bool = True
    """Start from the previous step's answer, moved on by one step (the paper starts afresh every step)."""
    warm_std: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    """Spread of the first population after a warm start; 1 without one."""

    @property
    def imagined_steps(self) -> int:
        """Control steps that the model imagines for one decision."""
        return self.cem.candidates * self.cem.iterations * self.horizon


@dataclass(frozen=True)
class ServoStep:
    """The action to execute, what to start the next search from, the cost expected, all actions chosen."""

    action: Float[Tensor, "B A"]
    warm_start: Float[Tensor, "B L A"]
    cost: Float[Tensor, "B"]
    decisions: Float[Tensor, "B L A"]


class Servo:
    """Chooses the next action by searching the model's action sequences."""

    def __init__(self, model: Dynamics[Any], cost: Cost, config: ServoConfig) -> None:
        self.model = model
        self.cost = cost
        self.config = config

    @torch.inference_mode()
    def act(
        self,
        state: Any,
        subgoal: Float[Tensor, "B C H W"],
        warm_start: Float[Tensor, "B L A"] | None,
        generators: Sequence[torch.Generator],
    ) -> ServoStep:
        """The first action of the cheapest sequence found, for each row.

        ``warm_start`` is the previous :attr:`ServoStep.warm_start`, or None at the first step and
        after a change of subgoal; it is used only if the configuration asks for warm starts.

        Raises:
            ValueError: if the subgoal shows no object, if the warm start has the wrong shape, or if
                there is not one generator per row.
        """
        config = self.config
        target = target_rows(self.cost, subgoal)
        score = make_score(self.model, state, self.cost, target, chunk=config.cem.candidates)
        shape = (len(target), config.horizon, self.model.decision_dim)
        mean = torch.zeros(shape, device=subgoal.device)
        spread, first = 1.0, None
        if config.warm_start and warm_start is not None:
            if warm_start.shape != shape:
                raise ValueError(f"warm_start must have shape {list(shape)}, got {list(warm_start.shape)}")
            mean, spread, first = warm_start, config.warm_std, warm_start
        std = torch.full_like(mean, spread)
        steps = list(cem(score, mean, std, config.cem, generators, first))
        found = [cheapest(steps, row, 1, config.cem) for row in range(len(target))]
        decisions = torch.cat([sequence for sequence, _ in found])
        shifted = torch.cat([decisions[:, 1:], torch.zeros_like(decisions[:, :1])], dim=1)
        return ServoStep(decisions[:, 0], shifted, torch.cat([cost for _, cost in found]), decisions)
