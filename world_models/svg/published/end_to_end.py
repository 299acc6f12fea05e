"""SVG as published: encoder, recurrent networks and decoder trained together on pixels (section 3)."""

from functools import partial

import torch

from world_models.losses import Loss, gaussian_kl
from world_models.svg.latent_training import draw
from world_models.svg.model import SVG
from world_models.svg.recipe import EndToEndStage
from world_models.svg.videos import VideoSet
from world_models.svg.vision import Skips
from world_models.training.fit import fit
from world_models.training.run import Session


def train_end_to_end(model: SVG, videos: VideoSet, stage: EndToEndStage, session: Session) -> None:
    """Learn everything at once; the state is kept in ``end-to-end.safetensors`` of the session's folder."""
    fit("end-to-end", model, partial(pixel_bound, model, videos, stage, session.device), stage, session)


def pixel_bound(
    model: SVG,
    videos: VideoSet,
    stage: EndToEndStage,
    device: torch.device,
    _step: int,
    generator: torch.Generator,
) -> Loss:
    """The negative lower bound on random videos, per step: squared error of pixels + beta KL.

    Every frame is predicted from true ones. Skips are those of the frame before while frames are seen, and of
    the last seen frame after, as where videos are generated.
    """
    rows = torch.randint(len(videos), (stage.batch,), generator=generator)
    length = videos.frames.shape[1]
    times = torch.arange(length).expand(stage.batch, -1)
    frames, acted = videos.pictures(rows, times, device), videos.actions[rows].to(device)
    looked = model.encoder.look(frames.flatten(0, 1))
    embeddings = model.encoder(looked).unflatten(0, frames.shape[:2])
    posterior = model.dynamics.posterior(embeddings)
    expected, _ = model.dynamics.prior(embeddings[:, :-1], acted)
    predicted, _ = model.dynamics.predict(embeddings[:, :-1], draw(posterior, generator), acted)
    before = torch.arange(length - 1).clamp(max=stage.seen - 1).to(device)
    skips = Skips(
        *(
            part.unflatten(0, frames.shape[:2])[:, before].flatten(0, 1)
            for part in vars(model.decoder.skips(looked)).values()
        )
    )
    pictures = model.decode(predicted.flatten(0, 1), skips).unflatten(0, (stage.batch, length - 1))
    error = (pictures - frames[:, 1:]).square().sum((-3, -2, -1)).mean()
    kl = gaussian_kl(posterior, expected).mean()
    return Loss(error + stage.beta * kl, {"picture": error, "kl": kl})
