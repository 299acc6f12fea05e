"""The inference network of the paper, given whole pictures (Chiappa and Paquet 2019, eq. 8, 9)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.kalman.config import KalmanConfig
from world_models.kalman.inference.network import AXES, Inferred
from world_models.kalman.lgssm.filter import LGSSM


class PublishedNetwork(nn.Module):
    """Goes through steps t and objects n with one gated state ``s_t^n``.

    With ``[s_{t-1}^n, s_t^{n-1}, v_t]`` as input, a mask says how much of the previous object's state is
    kept, and the rest is replaced by this object's contribution (eq. 8). Mean and log variance of the place
    are linear maps of the state (eq. 9). It knows nothing of the state-space model. First states are learned,
    for every number of objects its own.

    The share of ``v_t`` in the linear maps is the same for all objects: it is computed once.
    """

    def __init__(self, config: KalmanConfig) -> None:
        super().__init__()
        size, most = config.state, config.most_objects
        self.first = nn.Parameter(torch.randn(most, most, size))  # [number of objects, object, S]
        self.gates = nn.Linear(2 * size + config.image_size**2, 2 * size)
        self.mean = nn.Linear(size, AXES)
        self.log_variance = nn.Linear(size, AXES)
        for layer in (self.gates, self.mean, self.log_variance):
            initialise(layer)

    def evidence(self, frames: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T G"]:
        """What pictures add to mask and contribution, before squashing."""
        pixels = frames.flatten(2)
        states = self.gates.in_features - pixels.shape[-1]
        return nn.functional.linear(pixels, self.gates.weight[:, states:], self.gates.bias).float()

    def forward(
        self,
        evidence: Float[Tensor, "B T G"],
        model: LGSSM,
        objects: int,
        state: Float[Tensor, "B N S"] | None,
        careful: bool,
    ) -> Inferred:
        """The Gaussians of ``objects`` objects; neither the state-space model nor care changes them."""
        before = self.first[objects - 1, :objects].tanh().expand(len(evidence), -1, -1)
        memory = [*(before if state is None else state).unbind(1)]
        weight = self.gates.weight[:, : 2 * self.mean.in_features]
        steps = []
        for picture in evidence.unbind(1):
            last = torch.zeros_like(memory[0])
            for number, own in enumerate(memory):
                mask, content = (picture + torch.cat([own, last], dim=-1) @ weight.mT).chunk(2, dim=-1)
                last = (1.0 - mask.sigmoid()) * last + mask.sigmoid() * content.tanh()
                memory[number] = last
            steps.append(torch.stack(memory, dim=1))
        states = torch.stack(steps, dim=2)
        return Inferred(self.mean(states), self.log_variance(states), states[:, :, -1])

    def unseen(self, state: Float[Tensor, "B N S"], model: LGSSM, steps: int) -> Float[Tensor, "B N S"]:
        """The state after frames that were not seen: it stays as it is."""
        return state


def initialise(layer: nn.Linear) -> None:
    """Weights ~ N(0, 1 / sqrt(d)), a variance, with d elements of the matrix; biases 0 (section 3.2)."""
    nn.init.normal_(layer.weight, std=layer.weight.numel() ** -0.25)
    nn.init.zeros_(layer.bias)
