"""The cross-entropy method: minimise a score over sequences of decisions.

Knows no model. Both levels of the planner use it: over KeyIn's latents to find subgoals and over
actions to reach the next one (Pertsch et al., KeyIn, section 10).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Score = Callable[[Float[Tensor, "B N L D"]], Float[Tensor, "B N"]]
"""Costs of candidates, lower is better; anything non-finite counts as infinitely bad."""


class CemConfig(BaseModel):
    """How long and how widely to search; the defaults are those of KeyIn, Table 3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=200, ge=2)
    """Sequences sampled per iteration."""
    iterations: int = Field(default=3, ge=1)
    """Rounds of sampling and refitting."""
    elite_fraction: float = Field(default=0.05, gt=0, le=1)
    """Share of the candidates that the next distribution is fitted to."""
    bound: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Samples are clipped to [-bound, bound]; None leaves them alone."""

    @property
    def elites(self) -> int:
        """Number of candidates in the refit, at least two so that a spread can be fitted."""
        return max(2, round(self.elite_fraction * self.candidates))


@dataclass(frozen=True)
class CemStep:
    """What is known after one iteration.

    ``candidates`` and ``costs`` are this iteration's population, cheapest first (equal costs in the
    order drawn). ``mean`` and ``std`` are fitted to its elites and are what the next iteration
    samples from. ``best`` and ``best_cost`` are the cheapest seen in all iterations so far.
    """

    iteration: int  # counts from 1
    candidates: Float[Tensor, "B N L D"]
    costs: Float[Tensor, "B N"]
    mean: Float[Tensor, "B L D"]
    std: Float[Tensor, "B L D"]
    best: Float[Tensor, "B L D"]
    best_cost: Float[Tensor, "B"]


def cem(
    score: Score,
    mean: Float[Tensor, "B L D"],
    std: Float[Tensor, "B L D"],
    config: CemConfig,
    generators: Sequence[torch.Generator],
) -> Iterator[CemStep]:
    """Search for the cheapest decisions, starting from N(mean, std) with a diagonal covariance.

    Yields after every iteration, so that a caller can show progress or stop early. Row ``b`` draws
    from ``generators[b]`` (a CPU generator) and gets the same bits alone or in any batch, as long as
    ``score`` treats rows independently. Source: KeyIn, Algorithm 1 and section 10.

    Raises:
        ValueError: if there is not one generator per row, or (while iterating) if ``score`` does not
            return one cost per candidate.
    """
    if len(generators) != mean.shape[0]:
        raise ValueError(f"one generator per row: {mean.shape[0]} rows, {len(generators)} generators")
    return _iterate(score, mean, std, config, generators)


def _iterate(
    score: Score, mean: Tensor, std: Tensor, config: CemConfig, generators: Sequence[torch.Generator]
) -> Iterator[CemStep]:
    rows = torch.arange(mean.shape[0], device=mean.device)[:, None]
    best, best_cost = mean, torch.full((mean.shape[0],), torch.inf, device=mean.device)
    for iteration in range(1, config.iterations + 1):
        drawn = _sample(mean, std, config, generators)
        costs, order = torch.sort(_checked(score(drawn), drawn), dim=1, stable=True)
        candidates = drawn[rows, order]
        mean, std = _refit(candidates[:, : config.elites])
        # The first iteration must win even at infinite cost: the starting mean was never scored.
        better = (costs[:, 0] < best_cost) | (iteration == 1)
        best = torch.where(better[:, None, None], candidates[:, 0], best)
        best_cost = torch.where(better, costs[:, 0], best_cost)
        yield CemStep(iteration, candidates, costs, mean, std, best, best_cost)


def _sample(
    mean: Float[Tensor, "B L D"],
    std: Float[Tensor, "B L D"],
    config: CemConfig,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "B N L D"]:
    # Always drawn on the CPU in float32: one seed means the same noise on every device.
    shape = (config.candidates, *mean.shape[1:])
    noise = torch.stack([torch.randn(shape, generator=g, dtype=torch.float32) for g in generators])
    drawn = noise.to(mean).mul_(std[:, None]).add_(mean[:, None])
    return drawn if config.bound is None else drawn.clamp_(-config.bound, config.bound)


def _checked(costs: Tensor, drawn: Float[Tensor, "B N L D"]) -> Float[Tensor, "B N"]:
    """The one place that decides what a non-finite cost means: infinitely bad."""
    if costs.shape != drawn.shape[:2]:
        raise ValueError(f"score must return shape {list(drawn.shape[:2])}, got {list(costs.shape)}")
    return torch.where(costs.isfinite(), costs, torch.inf)


def _refit(
    elites: Float[Tensor, "B E L D"],
) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L D"]]:
    """Mean and population standard deviation of the elites."""
    # Row by row, because a reduction may sum in another order when the batch has another size.
    fits = [torch.std_mean(row, dim=0, correction=0) for row in elites]
    return torch.stack([mean for _, mean in fits]), torch.stack([std for std, _ in fits])
