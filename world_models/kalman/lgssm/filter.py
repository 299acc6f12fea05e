"""Linear Gaussian state-space model with a mixture start: filter, smoother, likelihood, prediction, samples.

    h_1 ~ sum_k w_k N(m_k, S_k),    h_t = A h_{t-1} + u + N(0, Q),    v_t = C h_t + N(0, R)

Given the component k that h_1 came from, all is jointly Gaussian: the recursions run once per component, and
the components' weights follow from how likely each makes the observations. Answers are therefore mixtures of
K Gaussians, and exact. Pure functions of tensors, differentiable but for the samples; rows ``*B`` of a batch
(episodes, or episodes x objects) share the parameters and do not influence each other.

Letters: ``X`` entries of a state, ``V`` of an observation, ``K`` components, ``T`` steps that may be
observed, ``L`` other steps. ``*#B`` is ``*B``, or 1 in the place of an axis whose rows are all the same:
covariances depend on which steps were observed, but not on the values.

Sources: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*, section 2.1.2; Särkkä
2013, *Bayesian Filtering and Smoothing*, chapters 4 (filter) and 8 (Rauch-Tung-Striebel smoother).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.kalman.lgssm.mixture import GaussianMixture, noise

Run = list[tuple[Tensor, Tensor]]
"""A mean and a covariance per step."""


@dataclass(frozen=True)
class LGSSM:
    """The parameters. Covariances are symmetric; the process noise may be singular, or zero.

    Raises:
        ValueError: if the sizes do not fit together.
    """

    transition: Float[Tensor, "X X"]
    """A."""
    force: Float[Tensor, " X"]
    """u."""
    process_noise: Float[Tensor, "X X"]
    """Q."""
    emission: Float[Tensor, "V X"]
    """C."""
    observation_noise: Float[Tensor, "V V"]
    """R, positive definite."""
    start_logits: Float[Tensor, " K"]
    """Weights of the components are the softmax of these."""
    start_means: Float[Tensor, "K X"]
    start_covariances: Float[Tensor, "K X X"]

    def __post_init__(self) -> None:
        v, x = self.emission.shape[-2:]
        k = self.start_logits.shape[-1]
        due = ((x, x), (x,), (x, x), (v, x), (v, v), (k,), (k, x), (k, x, x))
        for name, shape in zip(vars(self), due, strict=True):
            if (found := tuple(getattr(self, name).shape)) != shape:
                raise ValueError(f"{name} must have shape {shape}, not {found}")

    def start(self, *rows: int) -> GaussianMixture:
        """The state at the first step, before anything was observed; the same for all ``rows``."""
        parts = self.start_logits.log_softmax(dim=-1), self.start_means, self.start_covariances
        return GaussianMixture(*(part.expand(*rows, *part.shape) for part in parts))


@dataclass(frozen=True)
class Filtered:
    """What a filter has found at every step."""

    predicted: GaussianMixture
    """Of state t, from the observations before t; ``*B T`` rows."""
    filtered: GaussianMixture
    """Of state t, from the observations up to t; ``*B T`` rows."""
    log_likelihood: Float[Tensor, "*B T"]
    """log p(v_t | v_1 ... v_{t-1}) in nats; 0 where v_t is missing."""


def newtonian(
    period: Float[Tensor, ""], axes: int
) -> tuple[Float[Tensor, "{2*axes} {2*axes}"], Float[Tensor, "{axes} {2*axes}"]]:
    """A and C of a point with constant velocity: states are positions and velocities, positions are observed.

    Args:
        period: time between two steps.
        axes: dimensions of the space that the point moves in.
    """
    whole = torch.eye(2 * axes, dtype=period.dtype, device=period.device)
    return whole + period * period.new_ones(axes).diag(axes), whole[:axes]


def kalman_filter(
    model: LGSSM,
    observations: Float[Tensor, "*B T V"],
    observed: Bool[Tensor, "*#B T"] | None = None,
) -> Filtered:
    """Kalman filter.

    Args:
        model: the parameters, of the same type as the observations.
        observations: with any value, NaN included, where missing.
        observed: False where an observation is missing; it may leave out leading axes of ``*B``, or have 1
            there, where rows miss the same. None if nothing is missing.

    Raises:
        ValueError: if shapes do not fit, or an observation that is not missing is not finite.
        torch.linalg.LinAlgError: if the covariance of an observation is not positive definite.
    """
    seen = _seen(model, observations, observed)
    values = torch.where(seen[..., None], observations, 0.0)
    mean = model.start_means.expand(*observations.shape[:-2], -1, -1)
    covariance = model.start_covariances.expand(*seen.shape[:-1], -1, -1, -1)
    predicted, filtered, surprises = [], [], []
    for step, (value, there) in enumerate(zip(values.unbind(-2), seen.unbind(-1), strict=True)):
        if step:
            mean, covariance = _advance(model, mean, covariance)
        predicted.append((mean, covariance))
        residual = value[..., None, :] - _apply(model.emission, mean)
        emitted = model.emission @ covariance
        root = torch.linalg.cholesky(_symmetric(emitted @ model.emission.mT) + model.observation_noise)
        surprises.append((residual, root))
        # A missing observation has no gain: mean and covariance stay as they are.
        gain = there[..., None, None, None] * torch.cholesky_solve(emitted, root).mT
        mean = mean + _apply(gain, residual)
        covariance = _corrected(covariance, model.emission, gain, model.observation_noise)
        filtered.append((mean, covariance))
    return _weighted(model, seen, predicted, filtered, surprises)


def log_likelihood(
    model: LGSSM,
    observations: Float[Tensor, "*B T V"],
    observed: Bool[Tensor, "*#B T"] | None = None,
) -> Float[Tensor, "*B"]:
    """Log-likelihood in nats of all that was observed; arguments and errors as of :func:`kalman_filter`."""
    return kalman_filter(model, observations, observed).log_likelihood.sum(dim=-1)


def rts_smoother(model: LGSSM, run: Filtered) -> GaussianMixture:
    """Rauch-Tung-Striebel smoother: every state from all observations; ``*B T`` rows.

    Raises:
        torch.linalg.LinAlgError: if the covariance of a predicted state is not positive definite.
    """
    before, after = run.filtered, run.predicted
    # The first state's own covariance may be singular: nothing is solved with it.
    roots = torch.linalg.cholesky(after.covariances.narrow(-4, 1, after.covariances.shape[-4] - 1))
    known = before.covariances.narrow(-4, 0, roots.shape[-4])
    gains = torch.cholesky_solve(model.transition @ known, roots).mT
    # Of a state if the next one were known exactly.
    least = _corrected(known, model.transition, gains, model.process_noise)
    mean, covariance = before.means.select(-3, -1), before.covariances.select(-4, -1)
    smoothed = [(mean, covariance)]
    for step in range(roots.shape[-4] - 1, -1, -1):
        gain = gains.select(-4, step)
        mean = before.means.select(-3, step) + _apply(gain, mean - after.means.select(-3, step + 1))
        covariance = _symmetric(least.select(-4, step) + gain @ covariance @ gain.mT)
        smoothed.append((mean, covariance))
    log_weights = before.log_weights[..., -1:, :].expand(before.log_weights.shape)
    return _over_time(log_weights, smoothed[::-1])


def predict(model: LGSSM, belief: GaussianMixture, steps: int) -> GaussianMixture:
    """The states ``1 ... steps`` after a belief, with nothing more observed; ``*B L`` rows.

    Raises:
        ValueError: if there are no steps.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    mean, covariance = belief.means, belief.covariances
    ahead = []
    for _ in range(steps):
        mean, covariance = _advance(model, mean, covariance)
        ahead.append((mean, covariance))
    log_weights = belief.log_weights[..., None, :]
    return _over_time(log_weights.expand(*log_weights.shape[:-2], steps, -1), ahead)


def emit(model: LGSSM, states: GaussianMixture) -> GaussianMixture:
    """What would be observed in such states: mixtures of ``V`` entries."""
    spread = _symmetric(model.emission @ states.covariances @ model.emission.mT) + model.observation_noise
    return GaussianMixture(states.log_weights, _apply(model.emission, states.means), spread)


def update(
    model: LGSSM,
    predicted: GaussianMixture,
    observation: Float[Tensor, "*B V"],
    doubt: Float[Tensor, "*B V V"] | None = None,
) -> tuple[GaussianMixture, Float[Tensor, "*B"]]:
    """One step of the filter: the belief about a state after its observation, and that one's log-likelihood.

    With :func:`predict` this filters as observations come; :func:`kalman_filter` is for whole sequences.
    Every row may add ``doubt`` to the covariance of the observation noise.

    Raises:
        torch.linalg.LinAlgError: if the covariance of the observation is not positive definite.
    """
    seen = emit(model, predicted)
    more = 0.0 if doubt is None else doubt[..., None, :, :]
    root = torch.linalg.cholesky(seen.covariances + more)
    gain = torch.cholesky_solve(model.emission @ predicted.covariances, root).mT
    residual = observation[..., None, :] - seen.means
    white = torch.linalg.solve_triangular(root, residual[..., None], upper=False).squeeze(-1)
    size = white.square().sum(dim=-1) + white.shape[-1] * math.log(2.0 * math.pi)
    joint = predicted.log_weights - 0.5 * size - root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    mean = predicted.means + _apply(gain, residual)
    covariance = _corrected(predicted.covariances, model.emission, gain, model.observation_noise + more)
    return GaussianMixture(joint.log_softmax(dim=-1), mean, covariance), joint.logsumexp(dim=-1)


@torch.no_grad()
def simulate(
    model: LGSSM, first: Float[Tensor, "*B X"], steps: int, generator: torch.Generator
) -> tuple[Float[Tensor, "*B L X"], Float[Tensor, "*B L V"]]:
    """Random states and observations of ``steps`` steps that begin in state ``first``; without gradients."""
    kicks = noise(model.process_noise, (steps, *first.shape), generator)
    states = [first]
    for kick in kicks[1:]:
        states.append(_apply(model.transition, states[-1]) + model.force + kick)
    path = torch.stack(states, dim=-2)
    clean = _apply(model.emission, path)
    return path, clean + noise(model.observation_noise, clean.shape, generator)


def _seen(model: LGSSM, observations: Tensor, observed: Tensor | None) -> Bool[Tensor, "*#B T"]:
    """Which steps count, with as many axes as the batch."""
    size, shape = model.emission.shape[0], observations.shape
    if observations.ndim < 2 or shape[-1] != size or shape[-2] < 1:
        raise ValueError(f"observations must be [*B T {size}] with T at least 1, not {list(shape)}")
    if observed is None:
        observed = observations.new_ones(shape[-2], dtype=torch.bool)
    seen = observed.reshape((1,) * (len(shape) - 1 - observed.ndim) + observed.shape)
    fits = seen.ndim == len(shape) - 1 and seen.shape[-1] == shape[-2]
    fits = fits and all(own in (1, rows) for own, rows in zip(seen.shape, shape[:-1], strict=True))
    if not fits or observed.dtype != torch.bool:
        found = f"{observed.dtype} {list(observed.shape)}"
        raise ValueError(f"observed must be torch.bool and broadcast to {list(shape[:-1])}, not {found}")
    if not (observations.isfinite() | ~seen[..., None]).all():
        raise ValueError("observations must be finite; mark what is missing as False in observed")
    return seen


def _advance(model: LGSSM, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Means and covariances one step later."""
    spread = _symmetric(model.transition @ covariance @ model.transition.mT) + model.process_noise
    return _apply(model.transition, mean) + model.force, spread


def _corrected(covariance: Tensor, seen_through: Tensor, gain: Tensor, noise: Tensor) -> Tensor:
    """Joseph's form: a sum of squares, which rounding cannot make negative."""
    rest = torch.eye(gain.shape[-2], dtype=gain.dtype, device=gain.device) - gain @ seen_through
    return _symmetric(rest @ covariance @ rest.mT + gain @ noise @ gain.mT)


def _weighted(model: LGSSM, seen: Tensor, predicted: Run, filtered: Run, surprises: Run) -> Filtered:
    """Join the components' runs; ``surprises`` are residuals and Cholesky factors of their covariances."""
    residuals = torch.stack([residual for residual, _ in surprises], dim=-3)
    roots = torch.stack([root for _, root in surprises], dim=-4)
    white = torch.linalg.solve_triangular(roots, residuals[..., None], upper=False).squeeze(-1)
    size = white.square().sum(dim=-1) + white.shape[-1] * math.log(2.0 * math.pi)
    gains = -0.5 * size - roots.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    each = torch.where(seen[..., None], gains, 0.0)
    start = model.start(*each.shape[:-2], 1).log_weights
    # Only differences between components count; small sums keep their digits in single precision.
    ratios = each - each.detach().amax(dim=-1, keepdim=True)
    after = (start + ratios.cumsum(dim=-2)).log_softmax(dim=-1)
    before = torch.cat([start, after[..., :-1, :]], dim=-2)
    per_step = torch.where(seen, torch.logsumexp(before + each, dim=-1), 0.0)
    return Filtered(_over_time(before, predicted), _over_time(after, filtered), per_step)


def _over_time(log_weights: Tensor, run: Run) -> GaussianMixture:
    """A mixture with a time axis, from means and covariances of single steps."""
    means, covariances = zip(*run, strict=True)
    return GaussianMixture(log_weights, torch.stack(means, dim=-3), torch.stack(covariances, dim=-4))


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector, batch axes broadcast."""
    return (matrix @ vector[..., None]).squeeze(-1)


def _symmetric(matrix: Tensor) -> Tensor:
    return 0.5 * (matrix + matrix.mT)
