"""The low level: search action sequences toward one subgoal and return the next action.

Visual servoing as in KeyIn, section 10 and Algorithm 4. A servo remembers nothing: the warm start
goes in and comes out. On request a few steps of gradient descent through the model
refine the answer of the search.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_serializer
from torch import Tensor

from planner.search.along import Along, taken_along
from planner.search.cem import CemConfig, Search, cheapest
from planner.search.costs import Cost
from planner.search.rollout import Pricing, Proposals, RollOut, drive, repeat_row, target_rows
from world_models.interface import Dynamics, Future

Objective = Literal["last", "mean", "track"]


class ServoConfig(BaseModel):
    """Search settings of the servo.

    The horizon is that of KeyIn, Table 3. Its search (200 candidates, 3 iterations, white noise, afresh every
    step) is :data:`planner.evaluation.settings.PAPER_SERVO`; the defaults imagine a sixth of its steps and
    reach subgoals as surely, since smooth noise draws pushes that go somewhere and a warm start goes on with
    one.
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
    gradient_steps: int = Field(default=0, ge=0)
    """Steps of gradient descent from the answer of the search; 0 for models without a gradient."""
    gradient_step_size: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """Adam's learning rate: about how far an action moves per step."""
    objective: Objective = "last"
    """What is near the subgoal: the last step of the horizon; the mean over its steps; or (track) every step
    is near the picture of its own time, where a path is followed, and otherwise as mean."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """Results of before there was a choice are known again: the old way goes without saying."""
        found: dict[str, Any] = handler(self)
        return found if self.objective != "last" else {k: v for k, v in found.items() if k != "objective"}

    @property
    def imagined_steps(self) -> int:
        """Control steps that the model imagines for one decision."""
        sequences = self.cem.candidates * self.cem.iterations
        if self.gradient_steps:
            sequences += self.gradient_steps + 1
        return sequences * self.horizon


@dataclass(frozen=True)
class ServoStep:
    """The action to execute, what to start the next search from, the cost expected, all actions chosen."""

    action: Float[Tensor, "B A"]
    warm_start: Float[Tensor, "B L A"]
    cost: Float[Tensor, " B"]
    decisions: Float[Tensor, "B L A"]


Acting = Generator[RollOut, Tensor, ServoStep]
"""Yields roll-outs, to be sent their output: costs, and proposals where there are any."""


class Servo:
    """Chooses the next action by searching the model's action sequences."""

    def __init__(
        self,
        model: Dynamics[Any],
        cost: Cost,
        config: ServoConfig,
        proposals: Proposals[Any] | None = None,
    ) -> None:
        """``proposals`` are among the candidates that every search begins with."""
        self.model = model
        self.cost = cost if config.objective == "last" else Along(cost, config.horizon)
        self.config = config
        self.proposals = proposals

    @property
    def imagined_steps(self) -> int:
        """Control steps that are imagined for one decision, those of proposals included."""
        proposed = 0 if self.proposals is None else self.proposals.count * self.config.horizon
        return self.config.imagined_steps + proposed

    @torch.inference_mode()
    def act(
        self,
        state: Any,
        subgoal: Float[Tensor, "B C H W"],
        warm_start: Float[Tensor, "B L A"] | None,
        generators: Sequence[torch.Generator],
        path: Float[Tensor, "K C H W"] | None = None,
    ) -> ServoStep:
        """The first action of the cheapest sequence found, for each row.

        ``warm_start`` is the previous :attr:`ServoStep.warm_start`, or None at the first step and
        after a change of subgoal; it is used only if the configuration asks for warm starts. Of a
        single row, ``path`` shows what the coming steps are to look like, and its last picture where to stay:
        it takes the place of the subgoal.

        Raises:
            ValueError: if the subgoal shows no object, if the warm start has the wrong shape, if
                there is not one generator per row, if there are more proposals than candidates, or if there
                is no gradient to take steps along.
        """
        return drive(self.acting(state, subgoal, warm_start, generators, path))

    @torch.inference_mode()
    def acting(
        self,
        state: Any,
        subgoal: Float[Tensor, "B C H W"],
        warm_start: Float[Tensor, "B L A"] | None,
        generators: Sequence[torch.Generator],
        path: Float[Tensor, "K C H W"] | None = None,
    ) -> Acting:
        """:meth:`act` for somebody who computes the roll-outs of many searches. Raises likewise."""
        config = self.config
        target = target_rows(self.cost, subgoal) if path is None else self._along(path)
        pricing = Pricing(self.model, state, self.cost, target, chunk=config.cem.candidates)
        shape = (len(target), config.horizon, self.model.decision_dim)
        mean = torch.zeros(shape, device=subgoal.device)
        spread, first = 1.0, None
        if config.warm_start and warm_start is not None:
            if warm_start.shape != shape:
                raise ValueError(f"warm_start must have shape {list(shape)}, got {list(warm_start.shape)}")
            mean, spread, first = warm_start, config.warm_std, warm_start
        std = torch.full_like(mean, spread)
        proposals = None
        if self.proposals is not None:
            proposals = yield from self.proposals.ask(state, mean.shape[1:], generators)
        search = Search(mean, std, config.cem, generators, first, proposals)
        steps = []
        for _ in range(config.cem.iterations):
            steps.append(search.tell((yield from pricing.ask(search.ask()))))
        found = [cheapest(steps, row, 1, config.cem) for row in range(len(target))]
        if config.gradient_steps:
            found = [self._refine(state, target, row, *answer) for row, answer in enumerate(found)]
        decisions = torch.cat([sequence for sequence, _ in found])
        shifted = torch.cat([decisions[:, 1:], torch.zeros_like(decisions[:, :1])], dim=1)
        return ServoStep(decisions[:, 0], shifted, torch.cat([cost for _, cost in found]), decisions)

    def _along(self, path: Float[Tensor, "K C H W"]) -> Float[Tensor, "1 G"]:
        """What the steps of the horizon, or the last of them, are to be like."""
        ahead = taken_along(path, self.config.horizon)
        if isinstance(self.cost, Along) and self.config.objective == "track":
            return self.cost.follow(ahead)
        return target_rows(self.cost, ahead[-1:])

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _refine(
        self,
        state: Any,
        target: Float[Tensor, "B G"],
        row: int,
        decisions: Float[Tensor, "1 L A"],
        cost: Float[Tensor, "1"],
    ) -> tuple[Float[Tensor, "1 L A"], Float[Tensor, "1"]]:
        """The cheapest of ``decisions`` and of what Adam's steps make of them, and its cost."""
        config, bound = self.config, self.config.cem.bound
        state, target = repeat_row(state, row, 1), target[row : row + 1].clone()
        trial, adam = decisions.clone().requires_grad_(), _Adam(config.gradient_step_size)
        for left in reversed(range(config.gradient_steps + 1)):
            future = self.model.imagine(state, trial)
            price = self.cost(future, trial, target)
            if bool(price < cost):
                decisions, cost = trial.detach(), price.detach()
            if left:
                moved = trial.detach() - adam.step(_slope(price, future, trial))
                trial = (moved if bound is None else moved.clamp(-bound, bound)).requires_grad_()
        return decisions, cost


class _Adam:
    """Adam (Kingma and Ba 2015, algorithm 1 and its settings); torch's own would load the compiler first."""

    def __init__(self, size: float) -> None:
        self._size, self._count = size, 0
        self._mean, self._square = torch.zeros(()), torch.zeros(())

    def step(self, gradient: Tensor) -> Tensor:
        """What is to be subtracted."""
        self._count += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient.square()
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        return self._size * mean / (square.sqrt() + 1e-8)


def _slope(cost: Float[Tensor, "1"], future: Future, decisions: Float[Tensor, "1 L A"]) -> Tensor:
    """Gradient of the cost with respect to the decisions, zero where it is not finite."""
    # A cost that also looks at the decisions has a gradient even if the future has none.
    if not future.features.requires_grad:
        raise ValueError("the model has no gradient (the true dynamics have none); use gradient_steps 0")
    slope = None
    if cost.requires_grad:
        (slope,) = torch.autograd.grad(cost.sum(), decisions, allow_unused=True)
    if slope is None:
        raise ValueError("the cost has no gradient (colour segmentation has none); use gradient_steps 0")
    return slope.nan_to_num(0.0, 0.0, 0.0)
