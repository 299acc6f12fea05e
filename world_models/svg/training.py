"""The stages that train SVG on pictures: encoder and decoder first, then the recurrent networks between."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from world_models.data import DataError
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.losses import Loss
from world_models.precision import autocast
from world_models.svg.latent_training import train_svg
from world_models.svg.model import SVG
from world_models.svg.recipe import SVGRecipe, VisionStage
from world_models.svg.videos import VideoSet
from world_models.training.fit import fit
from world_models.training.run import Session

EMBEDDED = 50
"""Videos whose frames are embedded at a time."""


def train_vision(model: SVG, videos: VideoSet, stage: VisionStage, session: Session) -> None:
    """Learn to embed frames, and to decode them with the skips of another frame of the same video."""
    vision = nn.ModuleDict({"encoder": model.encoder, "decoder": model.decoder})
    fit("vision", vision, partial(vision_loss, model, videos, stage, session.device), stage, session)


def vision_loss(
    model: SVG,
    videos: VideoSet,
    stage: VisionStage,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """Squared error of pictures from noisy embeddings of random frames."""
    rows = torch.randint(len(videos), (stage.batch,), generator=generator)
    length = videos.frames.shape[1]
    order = torch.rand(stage.batch, length, generator=generator).argsort(1)
    frames = videos.pictures(rows, order[:, : stage.targets + 1], device)
    targets = frames[:, 1:].flatten(0, 1)
    # The frames with the skips go first, so that both kinds are seen at once.
    seen = model.encoder.look(torch.cat([frames[:, 0], targets]))
    embeddings = model.encoder(seen)[stage.batch :]
    noise = torch.randn(embeddings.shape, generator=generator).to(device)
    blank = float(torch.rand((), generator=generator)) < stage.blank
    skips = None if blank else model.decoder.skips(seen.rows(slice(stage.batch)))
    error = picture_error(model.decode(embeddings + stage.noise * noise, skips), targets)
    return Loss(error, {"picture": error})


def picture_error(pictures: Float[Tensor, "B C H W"], truth: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Squared error summed over a picture, plus half of that of coarser pictures, made fine again.

    The coarse scales (errors averaged over 2, 4 and 8 pixels) say in which direction a thing has to move that
    does not overlap with its target yet.
    """
    error = pictures - truth
    total = error.square().sum((-3, -2, -1))
    for scale in (2, 4, 8):
        total = total + 0.5 * functional.avg_pool2d(error, scale).square().sum((-3, -2, -1)) * scale**2
    return total.mean()


@torch.no_grad()
def cache_embeddings(model: SVG, videos: VideoSet, path: Path, session: Session) -> Float[Tensor, "n T F"]:
    """Embed every frame once, in half precision; kept in ``path``.

    Raises:
        DataError: the file there is of other data.
    """
    if not path.exists():
        parts = []
        for first in tqdm(range(0, len(videos), EMBEDDED), desc=f"{'embed':>12}"):
            frames = to_tensor(videos.frames[first : first + EMBEDDED], session.device)
            with autocast(session.device):
                parts.append(model.embed_videos(frames).half().cpu().numpy())
        save_array(path, np.concatenate(parts))
    embeddings = torch.from_numpy(np.load(path, allow_pickle=False))
    if len(embeddings) != len(videos):
        raise DataError(
            f"{path} is of {len(embeddings)} videos, the data has {len(videos)}; choose another --out"
        )
    return embeddings


def train_dynamics(
    model: SVG, embeddings: Float[Tensor, "n T F"], videos: VideoSet, recipe: SVGRecipe, session: Session
) -> None:
    """Learn to predict the next embedding from true ones."""
    train_svg(model.dynamics, embeddings, recipe.dynamics, session, videos.actions)
