"""The high level: search KeyIn's latents for subgoal images that lead to the goal image."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, Search
from planner.search.choosing import Appraisal, Consistent, Plausible, Taste, choose
from planner.search.costs import Cost
from planner.search.plan import Plan, StopReason, as_plan, condensed
from planner.search.rollout import (
    Interrupted,
    Interruption,
    Pricing,
    RollOut,
    chunk_size,
    drive,
    encode_rows,
    repeat_row,
    target_rows,
)
from world_models.interface import Context, WorldModel

# Steps remembered whole: a search may have thousands.
_KEPT_STEPS = 64


class HierarchyConfig(BaseModel):
    """Search settings of the planner; the defaults are those of KeyIn, Table 3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyframes: int = Field(default=6, ge=1)
    """Subgoals per plan, the last one at the goal; the most, where their number can be chosen."""
    confidence: float = Field(default=0.9, gt=0, lt=1)
    """Where the model is to say how many subgoals are needed: how likely they are to be enough."""
    cem: CemConfig = CemConfig()
    shortlist: int = Field(default=20, ge=1)
    """How many of the cheapest candidates of the search are looked through for a plausible plan."""
    choice: Literal["likeliest", "cheapest"] = "likeliest"
    """Which of the shortlist's plausible plans: the likeliest under the prior N(0, I), or the cheapest.

    The goal picture takes the place of the last keyframe, so that a pixel of cost says nothing about the way
    there; plans that cut through a wall are unlikely ones.
    """


@dataclass(frozen=True)
class Progress:
    """Where a search stands after an iteration; ``state`` is what its candidates start from."""

    step: CemStep
    last: bool
    state: Any


Planning = Generator[RollOut | Progress, Any, Plan]
"""Yields roll-outs, to be sent their costs, and after every iteration its progress, to be sent None or why
the search is to end now. In place of costs :class:`~planner.search.rollout.Interrupted` can be thrown: it
ends with what it has, or raises that if there is nothing yet."""


Count = int | Literal["auto"]
"""How many subgoals a plan is to have; ``auto``: as many as the model finds necessary."""


@runtime_checkable
class Counting(Protocol):
    """A model that says how many subgoals it takes to get from a state to what a goal picture shows."""

    def needed(self, state: Any, target: Float[Tensor, "B G"], confidence: float) -> Int[Tensor, " B"]:
        """The fewest that are enough with this probability."""
        ...


def never() -> Interruption | None:
    """No deadline and no cancellation."""
    return None


class Planner:
    """Plans subgoal images with a keyframe model and the cross-entropy method (KeyIn, Algorithm 1).

    One rule is added to the paper: among the cheapest candidates, one whose keyframes are all
    plausible is preferred, because only the last keyframe is scored and a plan with a broken
    keyframe on the way tends to cut through obstacles.
    """

    def __init__(
        self,
        model: WorldModel[Any],
        cost: Cost,
        config: HierarchyConfig,
        plausible: Plausible | None,
        fewest: int | None = None,
        appraise: Appraisal | None = None,
        consistent: Consistent | None = None,
    ) -> None:
        """``plausible`` tells which frames look like real ones; None takes the cheapest candidate. Plans can
        be asked to have from ``fewest`` to ``config.keyframes`` subgoals; None: always that many.
        ``appraise`` says what a plan costs by its last picture, given the cost's target, where the search
        does not look at pictures; None: what it cost in the search. ``consistent`` tells which features are
        those of the pictures they decode into, beside ``plausible`` or in its place.
        """
        self.model = model
        self.cost = cost
        self.config = config
        self.plausible = plausible
        self.fewest = config.keyframes if fewest is None else fewest
        self.appraise = appraise
        self.consistent = consistent

    @torch.inference_mode()
    def plan(
        self,
        context: Context,
        goal: Float[Tensor, "B C H W"],
        generators: Sequence[torch.Generator],
        *,
        candidates: int | None = None,
        iterations: int | None = None,
        keyframes: Count | None = None,
        stop: Callable[[], Interruption | None] = never,
        on_iteration: Callable[[CemStep], None] | None = None,
    ) -> Plan:
        """Search from the prior N(0, I) and return the chosen subgoals of each row.

        ``candidates``, ``iterations`` and ``keyframes`` override the configuration; with ``auto`` all rows
        get as many subgoals as the row that needs the most. ``stop`` is asked between
        iterations, never before the first has run: its answer ends the search with what there is.
        ``on_iteration`` sees every iteration as it ends. Each row has its own CPU generator and gets
        the same bits alone or in any batch.

        Raises:
            ValueError: if context, goal and generators differ in rows, if the goal does not show
                what the cost looks for, or if an override is out of range.
        """

        def heed(progress: Progress) -> Interruption | None:
            if on_iteration is not None:
                on_iteration(progress.step)
            return None if progress.last else stop()

        work = self.planning(
            context, goal, generators, candidates=candidates, iterations=iterations, keyframes=keyframes
        )
        return drive(work, heed)

    @torch.inference_mode()
    def planning(
        self,
        context: Context,
        goal: Float[Tensor, "B C H W"],
        generators: Sequence[torch.Generator],
        *,
        candidates: int | None = None,
        iterations: int | None = None,
        keyframes: Count | None = None,
        alternatives: int = 0,
    ) -> Planning:
        """:meth:`plan` for somebody who computes the roll-outs of many searches.

        Up to so many ``alternatives`` come with the plan: of the shortlist's plans that are as plausible,
        those whose decisions differ most from the plan's and from each other's. Raises as :meth:`plan` does.
        """
        batch = context.frames.shape[0]
        if goal.shape[0] != batch:
            raise ValueError(f"one goal per row: {batch} contexts, {goal.shape[0]} goals")
        settings = self._settings(candidates, iterations)
        state = encode_rows(self.model, context)
        target = target_rows(self.cost, goal)
        chunk = chunk_size(settings.candidates, target.device)
        pricing = Pricing(self.model, state, self.cost, target, chunk)
        count = self._count(keyframes, state, target)
        mean = torch.zeros(batch, count, self.model.decision_dim, device=target.device)
        search = Search(mean, torch.ones_like(mean), settings, generators)
        steps: list[CemStep] = []
        history: list[Tensor] = []
        stop_reason: StopReason = "iterations"
        for iteration in range(1, settings.iterations + 1):
            try:
                costs = yield from pricing.ask(search.ask())
            except Interrupted as interrupted:
                if not steps:
                    raise
                stop_reason = interrupted.reason
                break
            step = search.tell(costs)
            steps.append(step)
            history.append(step.best_cost)
            if len(steps) > _KEPT_STEPS:
                steps = [condensed(steps, self.config.shortlist, settings)]
            last = iteration == settings.iterations
            reason = yield Progress(step, last, state)
            if reason is not None and not last:
                stop_reason = reason
                break
        chosen = [
            choose(self.model, state, target, steps, settings, b, alternatives, self._taste)
            for b in range(batch)
        ]
        # Rows that have fewer alternatives decide how many there are.
        ranks = zip(*chosen, strict=False)
        first, *others = (as_plan(rows, torch.stack(history, 1), stop_reason) for rows in ranks)
        return replace(first, alternatives=tuple(others))

    @torch.inference_mode()
    def picture(
        self, state: Any, decisions: Float[Tensor, "1 L Z"]
    ) -> tuple[Float[Tensor, "L C H W"], Float[Tensor, " L"]]:
        """The subgoals of one candidate and their times, to look at while the search goes on."""
        future = self.model.imagine(repeat_row(state, 0, 1), decisions)
        return self.model.decode(future.features[0]), future.times[0]

    @property
    def chooses(self) -> bool:
        """Whether the model can say how many subgoals are needed."""
        return self.fewest < self.config.keyframes and isinstance(self.model, Counting)

    def check_keyframes(self, wanted: Count) -> None:
        """Make sure that plans of so many subgoals can be made.

        Raises:
            ValueError: they cannot.
        """
        most = self.config.keyframes
        if wanted == "auto":
            if not self.chooses:
                raise ValueError(f"this model does not choose the number of keyframes: it plans {most}")
        elif not self.fewest <= wanted <= most:
            valid = f"{most}" if self.fewest == most else f"{self.fewest} to {most}"
            raise ValueError(f"this model plans {valid} keyframes, not {wanted}")

    @property
    def _taste(self) -> Taste:
        return Taste(
            self.config.shortlist, self.config.choice, self.plausible, self.consistent, self.appraise
        )

    def _count(self, wanted: Count | None, state: Any, target: Float[Tensor, "B G"]) -> int:
        if wanted is None:
            return self.config.keyframes
        self.check_keyframes(wanted)
        if wanted != "auto":
            return wanted
        assert isinstance(self.model, Counting)
        return int(self.model.needed(state, target, self.config.confidence).max())

    def _settings(self, candidates: int | None, iterations: int | None) -> CemConfig:
        given = {"candidates": candidates, "iterations": iterations}
        overrides = {name: value for name, value in given.items() if value is not None}
        return CemConfig.model_validate({**self.config.cem.model_dump(), **overrides})
