"""Training the reward heads of a finished run: one per task (section S2.3)."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.losses import Loss
from world_models.struct_vrnn.rewards.card import Result
from world_models.struct_vrnn.rewards.data import CHUNK, Labels, null_errors
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.training.fit import fit
from world_models.training.run import Session

CHECKED = 50
"""Steps from one look at the sequences that choose a head's final state to the next."""


def train_head(
    states: Float[Tensor, "n T H"],
    labels: Labels,
    config: RewardHeadConfig,
    recipe: RewardRecipe,
    session: Session,
) -> RewardHead:
    """Learn the rewards of the training sequences: mean squared error over all frames.

    A few thousand sequences are soon learned by heart, so some of them choose when that begins.
    """
    with session.initial_weights():
        head = RewardHead(config)
    inputs, targets = states[: labels.learned], labels.rewards[: labels.learned]
    head.set_scales(inputs, targets)
    head, inputs, targets = head.to(session.device), inputs.to(session.device), targets.to(session.device)
    known = len(inputs) - max(1, round(recipe.choosing * len(inputs)))
    best = _Best(head, inputs[known:], targets[known:])

    def loss(step: int, generator: torch.Generator) -> Loss:
        if step % CHECKED == 0:
            best.look()
        rows = torch.randint(known, (recipe.batch,), generator=generator).to(session.device)
        rewards, _ = head(inputs[rows])
        error = ((rewards - targets[rows]) / head.reward_scale).square().mean()
        return Loss(error, {"error": error})

    unfinished = session.folder / f"{config.task}.safetensors"
    unfinished.unlink(missing_ok=True)  # it may be of another model: heads take seconds, so they start anew
    fit(config.task, head, loss, recipe, session)
    unfinished.unlink()
    best.look()
    head.load_state_dict(best.weights)
    return head


class _Best:
    """The best state that a head has been seen in, on sequences that it does not learn from."""

    def __init__(
        self, head: RewardHead, inputs: Float[Tensor, "n T H"], targets: Float[Tensor, "n T"]
    ) -> None:
        self.head, self.inputs, self.targets = head, inputs, targets
        self.error = math.inf
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def look(self) -> None:
        """Keep the present state if it is better than all before."""
        error = float((self.head(self.inputs)[0] - self.targets).square().mean())
        if error < self.error:
            self.error = error
            self.weights = {name: tensor.clone() for name, tensor in self.head.state_dict().items()}


@torch.no_grad()
def measure(head: RewardHead, states: Float[Tensor, "n T H"], labels: Labels) -> Result:
    """Squared errors of a head and of the null model on the test sequences."""
    device = head.input_mean.device
    found = [head(part.to(device))[0].cpu() for part in states[labels.learned :].split(CHUNK)]
    errors = (torch.cat(found) - labels.rewards[labels.learned :]).square()
    null = null_errors(labels).double()
    return {"n": len(errors), "head": _summary(errors.double(), null), "null": _summary(null, null)}


def _summary(errors: Float[Tensor, "n T"], null: Float[Tensor, "n T"]) -> dict[str, Any]:
    sequences = (errors / null.mean(0)).mean(1)
    return {
        "mse": float(errors.mean()),
        "per_step": errors.mean(0).tolist(),
        "over_null": float(sequences.mean()),
        "se": float(sequences.std() / len(errors) ** 0.5),
        "sequences": [float(f"{error:.6g}") for error in sequences.tolist()],
    }
