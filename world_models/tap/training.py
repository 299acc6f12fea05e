"""How TAP is trained."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.data import SequenceDataset
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor
from world_models.keyin.training import READ
from world_models.layers import reparameterise
from world_models.losses import Loss, gaussian_kl
from world_models.precision import autocast
from world_models.segmenter import Color
from world_models.tap.model import DEPTH, Tap
from world_models.tap.recipe import TapStage
from world_models.training.fit import fit
from world_models.training.run import Session

MARGIN = 0.25
"""Share of a segment at either end whose frames are no targets: the ends themselves are safe bets."""


def draw_segments(
    count: int, last: int, generator: torch.Generator
) -> tuple[Int[Tensor, " count"], Int[Tensor, " count"]]:
    """First and last time of random segments of sequences 0..``last``.

    They arise as those of :meth:`Tap.subgoals` do: the whole sequence, split at a possible target, one half
    taken, up to :data:`DEPTH` times, so that what recursion asks for has been trained. None is shorter than
    two frames, which leaves one to predict.
    """
    start, end = torch.zeros(count, dtype=torch.long), torch.full((count,), last)
    depth = torch.randint(DEPTH + 1, (count,), generator=generator)
    for level in range(DEPTH):
        share = MARGIN + (1.0 - 2.0 * MARGIN) * torch.rand(count, generator=generator)
        split = start + (share * (end - start)).round().long()
        left = torch.rand(count, generator=generator) < 0.5
        halved = torch.where(left, split - start, end - split)
        taken = (level < depth) & (halved >= 2)
        end = torch.where(taken & left, split, end)
        start = torch.where(taken & ~left, split, start)
    return start, end


def preferences(
    start: Int[Tensor, " B"], end: Int[Tensor, " B"], last: int, spread: float
) -> Float[Tensor, "B {last+1}"]:
    """w(t) of the generalised minimum: how welcome each time 0..``last`` is as a target.

    A Gaussian round the middle of the segment whose standard deviation is ``spread`` of its length, and 0 in
    the margins at its ends.
    """
    times = torch.arange(last + 1)
    share = (times - start[:, None]) / (end - start)[:, None]
    inside = (share >= MARGIN) & (share <= 1.0 - MARGIN)
    return torch.exp(-0.5 * ((share - 0.5) / spread).square()) * inside


def tap_loss(
    model: Tap,
    embeddings: Float[Tensor, "n T F"],
    goals: Float[Tensor, "n F"],
    stage: TapStage,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Generalised minimum over time (section 3) of the negative lower bound: squared error + beta KL.

    The target is the time with the least bound / w(t); the loss is the bound there, without w. Segments that
    reach the end of their sequence have its goal picture as goal.
    """
    last = embeddings.shape[1] - 1
    rows = torch.randint(len(embeddings), (stage.batch,), generator=generator)
    first, final = draw_segments(stage.batch, last, generator)
    noise = torch.randn(stage.batch, model.config.latent, generator=generator).to(device)
    frames = embeddings[rows].float().to(device)
    batch = torch.arange(stage.batch, device=device)
    goal = torch.where((final == last)[:, None], goals[rows], embeddings[rows, final]).float().to(device)
    ends = frames[batch, first.to(device)], goal
    welcome = preferences(first, final, last, stage.preference).to(device)
    row, time = welcome.nonzero(as_tuple=True)
    # Recorded for backward although it is not wanted: under no_grad, autocast would keep weights without it.
    error, kl = lower_bound(model, ends[0][row], ends[1][row], frames[row, time], noise[row])
    cost = torch.full_like(welcome, torch.inf)
    cost[row, time] = (error + stage.beta * kl).detach() / welcome[row, time]
    error, kl = lower_bound(model, *ends, frames[batch, cost.argmin(dim=1)], noise)
    return Loss((error + stage.beta * kl).mean(), {"frame": error.mean(), "kl": kl.mean()})


def lower_bound(
    model: Tap,
    start: Float[Tensor, "B F"],
    goal: Float[Tensor, "B F"],
    between: Float[Tensor, "B F"],
    noise: Float[Tensor, "B Z"],
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """What it costs to predict ``between``: squared error, and KL[q || p] in nats."""
    posterior = model.posterior(start, goal, between)
    predicted = model.decode(start, goal, reparameterise(posterior, noise))
    error = (predicted - between).square().sum(-1)
    return error, gaussian_kl(posterior, model.prior(start, goal))


def train_tap(
    model: Tap,
    embeddings: Float[Tensor, "n T F"],
    goals: Float[Tensor, "n F"],
    stage: TapStage,
    session: Session,
) -> None:
    """Learn to predict bottlenecks; the state is kept in ``tap.safetensors`` of the session's folder.

    ``goals`` are the embeddings of the pictures that stand for the sequences' goals: :func:`goal_pictures`,
    or the last frames.

    Raises:
        ValueError: the sequences have no frame between their ends.
    """
    if embeddings.shape[1] < 3:
        raise ValueError(f"sequences must have at least 3 frames, got {embeddings.shape[1]}")
    fit("tap", model, partial(tap_loss, model, embeddings, goals, stage, session.device), stage, session)


def goal_pictures(
    frames: Float[Tensor, "B T 3 H W"], color: Color, tolerance: float
) -> Float[Tensor, "B 3 H W"]:
    """The first frame with the object where the last frame shows it: a goal as a planner is shown it.

    A demonstration ends with the robot behind the object, but goals are given before the robot has moved, and
    it takes up more of an embedding than the object. The object is found by its colour (red, green, blue;
    Euclidean ``tolerance``), with a rim of one pixel; what was behind it is the median over time.
    """
    first, last = frames[:, 0], frames[:, -1]
    behind = frames.median(dim=1).values
    cleared = torch.where(_object_and_rim(first, color, tolerance), behind, first)
    return torch.where(_object_and_rim(last, color, tolerance), last, cleared)


def _object_and_rim(
    frames: Float[Tensor, "B 3 H W"], color: Color, tolerance: float
) -> Bool[Tensor, "B 1 H W"]:
    reference = frames.new_tensor(color)[:, None, None]
    found = (frames - reference).square().sum(1, keepdim=True) <= tolerance**2
    return functional.max_pool2d(found.float(), 3, stride=1, padding=1) > 0


@torch.no_grad()
def embed_goals(
    pictures: KeyIn, data: SequenceDataset, count: int, thing: ObjectColor, session: Session
) -> Float[Tensor, "n F"]:
    """Embeddings of the goal pictures of the first ``count`` sequences; kept in ``goals.npy``."""
    path = session.folder / "goals.npy"
    if not path.exists():
        parts = []
        for first in tqdm(range(0, count, READ), desc=f"{'goals':>12}"):
            frames = to_tensor(data[first : min(first + READ, count)].frames, session.device)
            goals = goal_pictures(frames, thing.color, thing.tolerance)
            with autocast(session.device):
                parts.append(pictures.autoencoder.encode(goals).half().cpu().numpy())
        save_array(path, np.concatenate(parts))
    return torch.from_numpy(np.load(path, allow_pickle=False))
