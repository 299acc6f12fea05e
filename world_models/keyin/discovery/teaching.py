"""Where the keyframes of the training sequences are: KeyIn's segmentation, or a baseline's rule."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from world_models.checkpoint import write_model
from world_models.files import save_array
from world_models.keyin.discovery.coding import KeyframeCoder, random_pairs
from world_models.keyin.discovery.segmentation import best_offsets, timing_costs
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import KeyInRecipe
from world_models.losses import Loss
from world_models.svg.config import LatentSVGConfig
from world_models.svg.latent import LatentSVG
from world_models.svg.latent_training import train_svg
from world_models.svg.surprise import surprise_keyframes
from world_models.training.fit import fit
from world_models.training.run import Session


def train_coder(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> None:
    """Learn to predict one frame from another one before it, at random distances up to S."""
    settings = recipe.model.segmentation
    assert settings is not None
    frames = embeddings[:, recipe.model.context - 1 :]
    loss = partial(
        coder_loss,
        model.coder,
        frames,
        recipe.model.max_offset,
        settings.coding_beta,
        recipe.coder.batch,
        session.device,
    )
    fit("coder", model.coder, loss, recipe.coder, session)


def coder_loss(
    coder: KeyframeCoder,
    embeddings: Float[Tensor, "n frames F"],
    longest: int,
    beta: float,
    batch: int,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared embedding error + beta KL on random pairs of frames."""
    rows = torch.randint(len(embeddings), (batch,), generator=generator)
    start, end = random_pairs(batch, embeddings.shape[1] - 1, longest, generator)
    pair = (embeddings[rows, start].float().to(device), embeddings[rows, end].float().to(device))
    error, kl = coder(*pair, torch.randn(batch, coder.latent, generator=generator).to(device))
    return Loss((error + beta * kl).mean(), {"error": error.mean(), "kl": kl.mean()})


def teach(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> Int[Tensor, "n M"]:
    """Offsets 1..S of the keyframes of every sequence; 0 where a sequence needs fewer than M of them.

    A model that infers its keyframes also gets the distribution of their offsets.
    """
    if recipe.model.segmentation is not None:
        train_coder(model, embeddings, recipe, session)
    teachers = {"segmentation": _cheapest, "constant": _constant, "surprise": _surprising}
    path = session.folder / "teacher.npy"
    if not path.exists():
        offsets = teachers[recipe.teacher.method](model, embeddings, recipe, session)
        save_array(path, offsets.cpu().numpy())
    found = torch.from_numpy(np.load(path, allow_pickle=False))
    if recipe.model.segmentation is not None:
        model.timing.copy_(timing_costs(found, *model.timing.shape))
    return found


def _constant(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> Int[Tensor, "n M"]:
    times = torch.arange(1, recipe.model.keyframes + 1) * recipe.teacher.constant
    offsets = times.clamp(max=recipe.model.frames).diff(prepend=times.new_zeros(1))
    return offsets.expand(len(embeddings), -1)


@torch.no_grad()
def _surprising(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> Int[Tensor, "n M"]:
    sizes = LatentSVGConfig(embedding=recipe.model.embedding, hidden=recipe.model.hidden)
    with session.initial_weights():
        svg = LatentSVG(sizes).to(session.device)
    with torch.enable_grad():
        train_svg(svg, embeddings, recipe.surprise, session)
    write_model(
        session.folder / "svg", sizes, svg, "# SVG-FP on embeddings: the surprise of a KeyIn baseline\n"
    )
    parts = [svg.surprise(part.float().to(session.device)).cpu() for part in embeddings.split(200)]
    surprise = torch.cat(parts)[:, recipe.model.context - 1 :]
    times = surprise_keyframes(surprise, recipe.model.keyframes)
    return times.diff(dim=1, prepend=times.new_zeros(len(times), 1)).clamp(max=recipe.model.max_offset)


@torch.no_grad()
def _cheapest(
    model: KeyIn, embeddings: Float[Tensor, "n frames F"], recipe: KeyInRecipe, session: Session
) -> Int[Tensor, "n M"]:
    settings, count = recipe.model.segmentation, recipe.model.keyframes
    assert settings is not None
    parts = tqdm(embeddings.split(100), desc=f"{'teacher':>12}")
    tables = [model.keyframe_costs(part.float().to(session.device)) for part in parts]
    costs, ending = (torch.cat(column) for column in zip(*tables, strict=True))
    offsets = best_offsets(costs, count, ending, settings.exact)
    for _ in range(recipe.teacher.rounds):
        timing = settings.timing * timing_costs(offsets, *model.timing.shape)
        offsets = best_offsets(costs + timing, count, ending, settings.exact)
    return offsets
