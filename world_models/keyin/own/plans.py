"""Plans for held-out pairs of a start and a later frame, beside what was recorded between them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.goals import EmbeddingGoal
from world_models.keyin.model import KeyIn, KeyInState
from world_models.training.run import Session

ELITES = 0.05
"""Share of the candidates that the next ones are drawn like (KeyIn, Table 3)."""


@dataclass(frozen=True)
class Pairs:
    """Starts and goals from recorded sequences."""

    context: Float[Tensor, "B T F"]
    """What is seen; the last of it is the start."""
    frames: Float[Tensor, "B N F"]
    """What was recorded after the start."""
    ahead: Int[Tensor, " B"]
    """Which of these frames, from 1, is the goal."""

    @property
    def start(self) -> Float[Tensor, "B F"]:
        """Embeddings of the starts."""
        return self.context[:, -1]

    @property
    def goals(self) -> Float[Tensor, "B F"]:
        """Embeddings of the goals."""
        return self.frames[torch.arange(len(self.frames)), self.ahead - 1]


@dataclass(frozen=True)
class Plans:
    """A plan for each pair, composed frame by frame."""

    frames: Float[Tensor, "B N F"]
    ends: Int[Tensor, " B"]
    """Which of its frames, from 1, is the last: that of the keyframe it ends at."""
    last: Float[Tensor, "B F"]
    """That keyframe."""


def draw_pairs(held_out: Float[Tensor, "m frames F"], count: int, context: int, session: Session) -> Pairs:
    """The start is the first frame after the context, goals are a fifth of the sequence later or more."""
    generator = torch.Generator().manual_seed(session.seed)
    rows = torch.randint(len(held_out), (count,), generator=generator)
    whole = held_out[rows].float().to(session.device)
    frames = whole[:, context:]
    least = max(1, frames.shape[1] // 5)
    ahead = torch.randint(least, frames.shape[1] + 1, (count,), generator=generator).to(session.device)
    return Pairs(whole[:, :context], frames, ahead)


@torch.no_grad()
def find_plans(
    model: KeyIn,
    goal: EmbeddingGoal,
    pairs: Pairs,
    candidates: int,
    iterations: int,
    generator: torch.Generator,
) -> Plans:
    """The plain search of KeyIn, Algorithm 1, for all pairs at once."""
    batch, device = len(pairs.context), pairs.context.device
    hidden, cell = model.predictor.initial(pairs.context)
    state = KeyInState(pairs.start, hidden.transpose(0, 1), cell.transpose(0, 1))
    many = KeyInState(*(part.repeat_interleave(candidates, 0) for part in vars(state).values()))
    target = pairs.goals.repeat_interleave(candidates, 0)
    shape = (batch, candidates, model.config.keyframes, model.config.latent)
    mean = torch.zeros(batch, *shape[2:], device=device)
    std = torch.ones_like(mean)
    best, least = mean, torch.full((batch,), torch.inf, device=device)
    rows = torch.arange(batch, device=device)
    for _ in range(iterations):
        noise = torch.randn(shape, generator=generator).to(device)
        drawn = mean[:, None] + std[:, None] * noise
        future = model.imagine(many, drawn.flatten(0, 1))
        price = goal.price(future.features, future.times, drawn.flatten(0, 1), target).min(-1).values
        costs, order = price.unflatten(0, shape[:2]).topk(max(2, round(ELITES * candidates)), largest=False)
        elites = drawn[rows[:, None], order]
        mean, std = elites.mean(1), elites.std(1)
        better = costs[:, 0] < least
        best = torch.where(better[:, None, None], elites[:, 0], best)
        least = torch.where(better, costs[:, 0], least)
    future = model.imagine(state, best)
    stop = goal.price(future.features, future.times, best, pairs.goals).argmin(-1)
    times = future.times.long()
    frames = model.compose(
        pairs.start, future.features, times.diff(dim=1, prepend=torch.zeros_like(times[:, :1]))
    )
    return Plans(frames, times[rows, stop].clamp(max=frames.shape[1]), future.features[rows, stop])


def straying(goal: EmbeddingGoal, plans: Plans, pairs: Pairs) -> Float[Tensor, " B"]:
    """Mean distance of a plan's frames from those recorded at the same times, in units; whichever has ended
    waits at its last frame for the other.
    """
    rows = torch.arange(len(pairs.ahead), device=plans.frames.device)[:, None]
    times = torch.arange(1, plans.frames.shape[1] + 1, device=plans.frames.device)
    mine = plans.frames[rows, times.minimum(plans.ends[:, None]) - 1]
    theirs = pairs.frames[rows, times.minimum(pairs.ahead[:, None]) - 1]
    counted = times <= plans.ends.maximum(pairs.ahead)[:, None]
    distances = goal.distance(mine, theirs) * counted
    return distances.sum(-1) / counted.sum(-1)
