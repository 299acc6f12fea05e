"""From pictures to latent positions (Chiappa and Paquet 2019, section 2.2.1)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.kalman.config import KalmanConfig
from world_models.kalman.inference.glimpse import Glimpse, Reader
from world_models.kalman.lgssm.filter import LGSSM, emit, predict, update
from world_models.kalman.lgssm.mixture import GaussianMixture

AXES = 2
SWEEPS = 4
"""How often all objects look at a picture, where care is taken."""
DOUBT = 4.0
"""How much of the attention's variance counts as noise of the place that was read, where care is taken."""
GLIMPSE = 9
"""Numbers that describe a glimpse."""


@dataclass(frozen=True)
class Inferred:
    """q(a | v): independent Gaussians for every object and step, in latent units."""

    means: Float[Tensor, "B N T 2"]
    log_variances: Float[Tensor, "B N T 2"]
    state: Float[Tensor, "B N S"]
    """With this inference goes on after the last frame; see :class:`InferenceNetwork`."""


class InferenceNetwork(nn.Module):
    """Goes through steps and objects with one gated state per object (eq. 8), which the Gaussians are made of
    (eq. 9).

    Where the paper's network is given the whole picture, this one is given a glimpse: what a window shows
    that lies where the state-space model expects the object, shifted and scaled as the state wants it, in a
    picture without the objects that had their turn. The expectation is the Kalman filter's, run on the means
    so far; no gradient passes through it.

    A state that inference goes on from is the network's, followed by the expectation for the next frame: log
    weights, means and covariances of the components.
    """

    def __init__(self, config: KalmanConfig) -> None:
        super().__init__()
        size, most = config.state, config.most_objects
        self.config = config
        self.reader = Reader(config.image_size, config.filter_size)
        self.first = nn.Parameter(torch.randn(most, most, size))  # [number of objects, object, S]
        self.query = nn.Linear(2 * size, 2 * AXES)
        self.gates = nn.Linear(2 * size + GLIMPSE, 2 * size)
        self.correction = nn.Linear(size, AXES)
        self.log_variance = nn.Linear(size, AXES)
        for layer in (self.correction, self.log_variance):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.log_variance.bias, -3.0)

    def evidence(self, frames: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T H W"]:
        """The reader's, of all frames."""
        return self.reader.evidence(frames)

    def forward(
        self,
        evidence: Float[Tensor, "B T H W"],
        model: LGSSM,
        objects: int,
        state: Tensor | None,
        careful: bool,
    ) -> Inferred:
        """The Gaussians of ``objects`` objects, from the reader's evidence; ``model`` without gradients."""
        if state is None:
            start = model.start(len(evidence), objects)
            # Covariances are the same for all: those of a single row will do.
            belief = replace(start, covariances=start.covariances[:1, :1])
            memory = list(self.first[objects - 1, :objects].tanh().expand(len(evidence), -1, -1).unbind(1))
        else:
            memory = list(state[..., : self.config.state].unbind(1))
            belief = self._unpack(state[..., self.config.state :], model)
        means, log_variances = [], []
        for picture in evidence.unbind(1):
            expected, covariance = emit(model, belief).moments()
            deviation = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
            memory, glimpses = self._look(picture, memory, expected, deviation, careful)
            mean, log_variance = self._gaussians(memory, glimpses)
            spread = torch.stack([glimpse.spread for glimpse in glimpses], dim=1) * self.config.scale**2
            doubt = (DOUBT * spread).diag_embed() if careful else None
            filtered, _ = update(model, belief, mean.detach(), doubt)
            belief = predict(model, filtered, 1).at(0)
            means.append(mean)
            log_variances.append(log_variance)
        last = torch.cat([torch.stack(memory, dim=1), self._pack(belief)], dim=-1)
        return Inferred(torch.stack(means, dim=2), torch.stack(log_variances, dim=2), last)

    def _look(
        self, picture: Tensor, memory: list[Tensor], expected: Tensor, deviation: Tensor, careful: bool
    ) -> tuple[list[Tensor], list[Glimpse]]:
        """All objects look at one picture; their new memory, and what they have seen last.

        An object does without what others have claimed, and leaves places to those that are expected there
        more: to later ones while these have claimed nothing, then to all.
        """
        scale = self.config.scale
        expected, deviation = expected / scale, deviation / scale
        density = self.reader.expectation(expected, deviation)
        count, states = len(memory), list[Tensor]()
        glimpses: list[Glimpse] = []
        for sweep in range(SWEEPS if careful else 1):
            states, before = [], torch.zeros_like(memory[0])
            for n in range(count):
                rivals = density if sweep else density[:, n:]
                left = picture * density[:, n] / rivals.sum(dim=1)
                for other, glimpse in enumerate(glimpses):
                    if other != n:
                        left = self.reader.without(left, glimpse.place, tight=careful)
                own = torch.cat([memory[n], before], dim=-1)
                shift, stretch = self.query(own).chunk(2, dim=-1)
                centre = expected[:, n] + deviation[:, n] * shift
                width = deviation[:, n] * stretch.clamp(-1.0, 1.5).exp()
                glimpse = self.reader.look(left, centre, width)
                glimpses[n : n + 1] = [glimpse]
                seen = self._describe(glimpse, expected[:, n], deviation[:, n])
                gate, content = self.gates(torch.cat([own, seen], dim=-1)).chunk(2, dim=-1)
                before = (1.0 - gate.sigmoid()) * before + gate.sigmoid() * content.tanh()
                states.append(before)
        return states, glimpses

    def _gaussians(
        self, memory: list[Tensor], glimpses: list[Glimpse]
    ) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 2"]]:
        """Means and log variances of all objects at one step (eq. 9)."""
        states = torch.stack(memory, dim=1)
        places = torch.stack([glimpse.place for glimpse in glimpses], dim=1)
        mean = self.config.scale * places + self.correction(states)
        return mean, self.log_variance(states).clamp(-9.0, 4.0)

    def _describe(self, glimpse: Glimpse, expected: Tensor, deviation: Tensor) -> Float[Tensor, "B G"]:
        """A glimpse as numbers of about size 1."""
        surprise = ((glimpse.place - expected) / deviation).clamp(-4.0, 4.0)
        spread = 0.5 * (glimpse.spread + 1e-5).log() + 2.0
        mass = glimpse.mass[:, None] / 4.0
        parts = [glimpse.place, surprise, spread, deviation.log() + 2.0, mass]
        return torch.cat(parts, dim=-1)

    def unseen(self, state: Float[Tensor, "B N S"], model: LGSSM, steps: int) -> Float[Tensor, "B N S"]:
        """The state after so many more frames of which none was seen: the expectation moves on and widens."""
        memory, packed = state.split([self.config.state, state.shape[-1] - self.config.state], dim=-1)
        belief = predict(model, self._unpack(packed, model), steps).at(-1)
        return torch.cat([memory, self._pack(belief)], dim=-1)

    @staticmethod
    def _pack(belief: GaussianMixture) -> Float[Tensor, "B N P"]:
        rows = belief.log_weights.shape[:-1]
        covariances = belief.covariances.expand(*belief.means.shape, -1)
        return torch.cat(
            [belief.log_weights, belief.means.flatten(-2), covariances.reshape(*rows, -1)], dim=-1
        )

    @staticmethod
    def _unpack(packed: Float[Tensor, "B N P"], model: LGSSM) -> GaussianMixture:
        k, x = model.start_means.shape
        log_weights, means, covariances = packed.split([k, k * x, k * x * x], dim=-1)
        return GaussianMixture(log_weights, means.unflatten(-1, (k, x)), covariances.unflatten(-1, (k, x, x)))
