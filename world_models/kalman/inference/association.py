"""Which place is whose: the likeliest assignment of places to objects over a whole sequence.

Objects that meet can come out of it with their places exchanged. The state-space model tells: a hypothesis is
one permutation per step, judged by the likelihood of all steps together (multiple hypothesis tracking, Reid
1979, with a beam in the place of pruning by age).
"""

from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.kalman.lgssm.filter import LGSSM, predict, update
from world_models.kalman.lgssm.mixture import GaussianMixture

HYPOTHESES = 8
"""How many are kept per sequence after every step."""


@dataclass(frozen=True)
class Associated:
    """Places in the order of their objects."""

    places: Float[Tensor, "B N T 2"]
    log_likelihood: Float[Tensor, " B"]
    """Of all places seen, in nats, under the state-space model."""


@torch.no_grad()
def associate(
    model: LGSSM,
    places: Float[Tensor, "B N T 2"],
    observed: tuple[bool, ...] | None = None,
) -> Associated:
    """Give every place to the object whose motion it fits best, all steps considered together.

    Args:
        model: the law of motion, the same for all objects.
        places: one per object and step, with the objects in any order at every step.
        observed: False at the steps without places; None if there are places at all steps.
    """
    batch, count, steps, _ = places.shape
    there = observed or (True,) * steps
    orders = torch.tensor([*permutations(range(count))], device=places.device)
    rows = torch.arange(batch, device=places.device)[:, None]
    objects = torch.arange(count, device=places.device)
    belief = _shared(model.start(batch, 1, count))
    scores = places.new_zeros(batch, 1)
    parents, chosen = list[Tensor](), list[Tensor]()
    for step in range(steps):
        if step:
            belief = _shared(predict(model, belief, 1).at(0))
        if not there[step]:
            parents.append(torch.arange(scores.shape[1], device=places.device).expand(batch, -1))
            chosen.append(objects.expand(batch, scores.shape[1], -1))
            continue
        # Every object is tried with every place: axes are sequence, hypothesis, object, place.
        seen = places[:, None, None, :, step].expand(*belief.means.shape[:3], count, 2)
        each = GaussianMixture(
            belief.log_weights[:, :, :, None].expand(*seen.shape[:-1], -1),
            belief.means[:, :, :, None].expand(*seen.shape[:-1], -1, -1),
            belief.covariances[:, :, :, None],
        )
        after, fit = update(model, each, seen)
        # All objects start alike: the first places are theirs in the order they come in.
        tried = orders if any(there[:step]) else orders[:1]
        joint = scores[..., None] + fit[:, :, objects, tried].sum(dim=-1)  # [B, hypotheses, permutations]
        best = joint.flatten(1).topk(min(HYPOTHESES, joint[0].numel()), dim=1)
        parent, order = best.indices // len(tried), tried[best.indices % len(tried)]
        picked = (rows[..., None], parent[..., None], objects, order)
        belief = GaussianMixture(
            after.log_weights[picked], after.means[picked], after.covariances[:, :, :, 0]
        )
        scores = best.values
        parents.append(parent)
        chosen.append(order)
    return Associated(_follow(places, parents, chosen), scores[:, 0])


def _shared(belief: GaussianMixture) -> GaussianMixture:
    """Covariances depend on the steps observed alone: those of one row are those of all."""
    return GaussianMixture(belief.log_weights, belief.means, belief.covariances[:1, :1, :1])


def _follow(
    places: Float[Tensor, "B N T 2"], parents: list[Int[Tensor, "B _H"]], chosen: list[Int[Tensor, "B _H N"]]
) -> Float[Tensor, "B N T 2"]:
    """The places as the best of the last hypotheses, which is the first, has them."""
    rows = torch.arange(len(places), device=places.device)
    at, orders = torch.zeros_like(rows), list[Tensor]()
    for parent, order in zip(reversed(parents), reversed(chosen), strict=True):
        orders.append(order[rows, at])
        at = parent[rows, at]
    whose = torch.stack(orders[::-1], dim=-1)  # [B, N, T]
    return torch.take_along_dim(places, whose[..., None], dim=1)
