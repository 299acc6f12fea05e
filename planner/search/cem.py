"""The cross-entropy method: minimise a score over sequences of decisions.

Knows no model. Both levels of the planner use it: over KeyIn's latents to find subgoals and over
actions to reach the next one (Pertsch et al., KeyIn, section 10). Four improvements of iCEM (Pinneri et
al. 2020, arXiv:2008.06389, section 3) can be asked for: coloured noise, kept elites, the mean as a
candidate, and answers from everything seen. So can the weights of model predictive path integral control
(MPPI, Williams et al. 2017, arXiv:1707.02342) in place of elites.
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
    """How long and how widely to search.

    Sizes are those of KeyIn, Table 3. Its plain method is ``best_ever=False`` with the rest as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=200, ge=2)
    """Sequences scored per iteration."""
    iterations: int = Field(default=3, ge=1)
    """Rounds of sampling and refitting."""
    elite_fraction: float = Field(default=0.05, gt=0, le=1)
    """Share of the candidates that the next distribution is fitted to, unless all are (``temperature``)."""
    bound: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Samples are clipped to [-bound, bound]; None leaves them alone."""
    noise_exponent: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Noise has power frequency^-exponent along the sequence: 0 is white, more is smoother (iCEM's beta)."""
    kept_fraction: float = Field(default=0.0, ge=0, le=1)
    """Share of the elites that stand for election again in the next iteration (iCEM: 0.3)."""
    mean_candidate: bool = False
    """The mean itself is a candidate in the last iteration (iCEM)."""
    best_ever: bool = True
    """Choose among all iterations' candidates; False: among the last population's, as in the paper."""
    temperature: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Fit to all candidates, each weighed by exp(-cost / temperature) as in MPPI; None fits to the elites.

    The unit is the standard deviation of the row's finite costs, so that one value does for every cost;
    MPPI's own temperature is in units of cost. Its spread is constant; here it is the weighted one,
    since there are several iterations.
    """

    @property
    def elites(self) -> int:
        """Number of cheapest candidates, at least two so that a spread can be fitted to them."""
        return max(2, round(self.elite_fraction * self.candidates))

    @property
    def kept(self) -> int:
        """Number of elites that stand again."""
        return round(self.kept_fraction * self.elites)


@dataclass(frozen=True)
class CemStep:
    """What is known after one iteration.

    ``candidates`` and ``costs`` are what this iteration scored, cheapest first (equal costs in the
    order drawn); kept elites were scored before and are not repeated. ``mean`` and ``std`` are fitted to
    the elites or, with a temperature, to all candidates, but for those of infinite cost, and are what the
    next iteration samples from. ``best`` and ``best_cost`` are the cheapest seen in all iterations so far.
    """

    iteration: int  # counts from 1
    candidates: Float[Tensor, "B N L D"]
    costs: Float[Tensor, "B N"]
    mean: Float[Tensor, "B L D"]
    std: Float[Tensor, "B L D"]
    best: Float[Tensor, "B L D"]
    best_cost: Float[Tensor, " B"]


def cem(
    score: Score,
    mean: Float[Tensor, "B L D"],
    std: Float[Tensor, "B L D"],
    config: CemConfig,
    generators: Sequence[torch.Generator],
    first: Float[Tensor, "B L D"] | None = None,
) -> Iterator[CemStep]:
    """Search for the cheapest decisions, starting from N(mean, std) with a diagonal covariance.

    Yields after every iteration, so that a caller can show progress or stop early. See :class:`Search`.

    Raises:
        ValueError: as :class:`Search` does.
    """
    search = Search(mean, std, config, generators, first)
    return (search.tell(score(search.ask())) for _ in range(config.iterations))


class Search:
    """The method one step at a time: :meth:`ask` for candidates, :meth:`tell` their costs.

    Row ``b`` draws from ``generators[b]`` (a CPU generator) and gets the same bits alone or in any batch, as
    long as its costs do not depend on other rows. The noise of all iterations is drawn at the beginning, so
    that a search on another device never waits for the host. Source: KeyIn, Algorithm 1 and section 10.
    """

    def __init__(
        self,
        mean: Float[Tensor, "B L D"],
        std: Float[Tensor, "B L D"],
        config: CemConfig,
        generators: Sequence[torch.Generator],
        first: Float[Tensor, "B L D"] | None = None,
        proposals: Float[Tensor, "B P L D"] | None = None,
    ) -> None:
        """``first`` takes the place of one candidate of the first iteration: an answer to a similar question.
        So do ``proposals``, what somebody else would do, of several; they are clipped to the bound.

        Raises:
            ValueError: if there is not one generator per row, if ``first`` or the proposals differ from
                ``mean`` in shape, or if they are more than there are candidates.
        """
        if len(generators) != mean.shape[0]:
            raise ValueError(f"one generator per row: {mean.shape[0]} rows, {len(generators)} generators")
        if first is not None and first.shape != mean.shape:
            raise ValueError(
                f"first must have the shape of mean, {list(mean.shape)}, got {list(first.shape)}"
            )
        self._mean, self._std, self._config = mean, std, config
        self._noise = _noise(mean, config, generators)
        self._given = _given(mean, first, proposals, config)
        self._iteration = 0
        self._drawn = mean[:, None]
        self._best, self._best_cost = mean, torch.full((mean.shape[0],), torch.inf, device=mean.device)
        self._kept, self._kept_costs = mean[:, None][:, :0], self._best_cost[:, None][:, :0]

    def ask(self) -> Float[Tensor, "B N L D"]:
        """The candidates of the next iteration."""
        self._iteration += 1
        drawn = self._noise[self._iteration - 1] * self._std[:, None] + self._mean[:, None]
        if (bound := self._config.bound) is not None:
            drawn = drawn.clamp_(-bound, bound)
        if self._iteration == 1 and self._given is not None:
            drawn[:, : self._given.shape[1]] = self._given
        elif self._iteration == self._config.iterations and self._config.mean_candidate:
            drawn[:, 0] = self._mean
        self._drawn = drawn
        return drawn

    def tell(self, costs: Float[Tensor, "B N"]) -> CemStep:
        """What is known now that the candidates have these costs.

        Raises:
            ValueError: there is not one cost per candidate.
        """
        drawn = self._drawn
        costs, order = torch.sort(_checked(costs, drawn), dim=1, stable=True)
        candidates = drawn[torch.arange(len(drawn), device=drawn.device)[:, None], order]
        fitted, fitted_costs = self._elect(candidates, costs)
        self._refit(fitted, fitted_costs)
        # The first iteration must win even at infinite cost: the starting mean was never scored.
        better = (costs[:, 0] < self._best_cost) | (self._iteration == 1)
        self._best = torch.where(better[:, None, None], candidates[:, 0], self._best)
        self._best_cost = torch.where(better, costs[:, 0], self._best_cost)
        return CemStep(self._iteration, candidates, costs, self._mean, self._std, self._best, self._best_cost)

    def _refit(self, fitted: Float[Tensor, "B E L D"], costs: Float[Tensor, "B E"]) -> None:
        """Fit the next distribution. Elites of infinite cost say nothing of where to look: where there is no
        other the distribution stays, where there is one other its spread stays.
        """
        rows = zip(fitted, costs, strict=True)
        fits = [_fit(row, row_costs, self._config.temperature) for row, row_costs in rows]
        mean, std = torch.stack([mean for _, mean in fits]), torch.stack([std for std, _ in fits])
        if self._config.temperature is None:
            finite = costs.isfinite().sum(dim=1)[:, None, None]
            mean, std = torch.where(finite > 0, mean, self._mean), torch.where(finite > 1, std, self._std)
        self._mean, self._std = mean, std

    def _elect(
        self, candidates: Float[Tensor, "B N L D"], costs: Float[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B E L D"], Float[Tensor, "B E"]]:
        """What the next distribution is fitted to, and its costs: the elites or, with a temperature, all."""
        config = self._config
        count = config.elites if config.temperature is None else None
        fitted, fitted_costs = candidates[:, :count], costs[:, :count]
        if config.kept:
            pool = torch.cat([self._kept, fitted], dim=1)
            pool_costs, order = torch.cat([self._kept_costs, fitted_costs], dim=1).sort(dim=1, stable=True)
            rows = torch.arange(len(pool), device=pool.device)[:, None]
            fitted, fitted_costs = pool[rows, order[:, :count]], pool_costs[:, :count]
            self._kept, self._kept_costs = fitted[:, : config.kept], fitted_costs[:, : config.kept]
        return fitted, fitted_costs


def cheapest(
    steps: Sequence[CemStep], row: int, count: int, config: CemConfig
) -> tuple[Float[Tensor, "N L D"], Float[Tensor, " N"]]:
    """The at most ``count`` cheapest candidates of one row and their costs, cheapest first.

    Taken from all iterations or, without ``config.best_ever``, from the last; equal costs in the order
    drawn. No candidate is listed twice.
    """
    pool = steps if config.best_ever else steps[-1:]
    # Populations are sorted, so the cheapest of all are among the cheapest of each.
    costs = torch.cat([step.costs[row, :count] for step in pool])
    candidates = torch.cat([step.candidates[row, :count] for step in pool])
    order = costs.sort(stable=True).indices[:count]
    return candidates[order], costs[order]


def _noise(
    mean: Float[Tensor, "B L D"], config: CemConfig, generators: Sequence[torch.Generator]
) -> Float[Tensor, "I B N L D"]:
    # Always drawn on the CPU in float32: one seed means the same noise on every device.
    shape = (config.candidates, *mean.shape[1:])
    rows = [
        torch.randn(shape, generator=generator, dtype=torch.float32)
        for _ in range(config.iterations)
        for generator in generators
    ]
    if config.noise_exponent:
        rows = [_coloured(row, config.noise_exponent) for row in rows]
    return torch.stack(rows).unflatten(0, (config.iterations, len(generators))).to(mean)


def _given(
    mean: Float[Tensor, "B L D"],
    first: Float[Tensor, "B L D"] | None,
    proposals: Float[Tensor, "B P L D"] | None,
    config: CemConfig,
) -> Tensor | None:
    """What takes the place of candidates in the first iteration: ``first`` as it is, then proposals."""
    given = [] if first is None else [first[:, None]]
    if proposals is not None:
        if proposals.shape[:1] + proposals.shape[2:] != mean.shape:
            raise ValueError(
                f"proposals of shape {list(proposals.shape)} do not fit mean, {list(mean.shape)}"
            )
        given.append(proposals if config.bound is None else proposals.clamp(-config.bound, config.bound))
    if (count := sum(part.shape[1] for part in given)) > config.candidates:
        raise ValueError(f"{count} sequences are given, the search has {config.candidates} candidates")
    return torch.cat(given, dim=1) if given else None


def _coloured(white: Float[Tensor, "N L D"], exponent: float) -> Float[Tensor, "N L D"]:
    """White noise filtered to power frequency^-exponent, of unit variance (iCEM, section 3.1).

    Frequency zero gets the power of the lowest other one. One row at a time, so that a batch of another
    size cannot change the bits.
    """
    length = white.shape[1]
    frequencies = torch.fft.fftfreq(length).abs().clamp(min=1 / length)
    gain = frequencies ** (-exponent / 2)
    gain = gain / gain.square().mean().sqrt()
    spectrum = torch.fft.rfft(white, dim=1) * gain[: length // 2 + 1, None]
    return torch.fft.irfft(spectrum, n=length, dim=1)


def _checked(costs: Tensor, drawn: Float[Tensor, "B N L D"]) -> Float[Tensor, "B N"]:
    """The one place that decides what a non-finite cost means: infinitely bad."""
    if costs.shape != drawn.shape[:2]:
        raise ValueError(f"score must return shape {list(drawn.shape[:2])}, got {list(costs.shape)}")
    return torch.where(costs.isfinite(), costs, torch.inf)


def _fit(
    row: Float[Tensor, "E L D"], costs: Float[Tensor, " E"], temperature: float | None
) -> tuple[Float[Tensor, "L D"], Float[Tensor, "L D"]]:
    """Population standard deviation and mean of those of finite cost, all alike or weighed by their costs."""
    # Row by row, because a reduction may sum in another order when the batch has another size.
    if temperature is not None:
        return _weighted_std_mean(row, _path_integral_weights(costs, temperature))
    finite = costs.isfinite()
    std, mean = torch.std_mean(row, dim=0, correction=0)
    some_std, some_mean = _weighted_std_mean(row, finite / finite.sum().clamp(min=1))
    # Chosen by the device, so that the search does not wait for it.
    return torch.where(finite.all(), std, some_std), torch.where(finite.all(), mean, some_mean)


def _weighted_std_mean(
    row: Float[Tensor, "E L D"], weights: Float[Tensor, " E"]
) -> tuple[Float[Tensor, "L D"], Float[Tensor, "L D"]]:
    weights = weights[:, None, None]
    mean = (weights * row).sum(dim=0)
    return (weights * (row - mean).square()).sum(dim=0).sqrt(), mean


def _path_integral_weights(costs: Float[Tensor, " E"], temperature: float) -> Float[Tensor, " E"]:
    """Shares in proportion to exp(-cost / temperature) of ascending costs; equal ones if none is finite."""
    finite = costs.isfinite()
    excess = torch.where(finite, costs.double() - costs[0], 0.0)  # squares of float32 might overflow
    shares = finite / finite.sum().clamp(min=1)
    unit = (shares * (excess - (shares * excess).sum()).square()).sum().sqrt()
    unit = unit.clamp(min=torch.finfo(costs.dtype).tiny)
    weights = torch.where(finite | ~finite.any(), -excess / (temperature * unit), -torch.inf)
    return torch.softmax(weights, dim=0).to(costs)
