"""Whole sequences from KeyIn: its keyframes, put together by its interpolator (section 3.1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.interface import Context
from world_models.keyin.model import KeyIn
from world_models.precision import autocast


@dataclass(frozen=True)
class Reconstruction:
    """Keyframes found in known sequences, and the sequences that they make."""

    times: Int[Tensor, "B M"]
    embeddings: Float[Tensor, "B N F"]


@torch.no_grad()
def reconstruct(
    model: KeyIn, frames: Float[Tensor, "B frames C H W"], generator: torch.Generator
) -> Reconstruction:
    """One posterior sample: keyframes at their most likely offsets, the interpolator in between.

    Raises:
        ValueError: the model's keyframes cannot be inferred from sequences.
    """
    embeddings = embed(model, frames)
    noise = _noise(model, len(frames), generator)
    found = model.infer(embeddings, noise)
    offsets = found.offset_logits.argmax(-1) + 1
    filled = model.compose(embeddings[:, model.config.context - 1], found.embeddings, offsets)
    return Reconstruction(offsets.cumsum(-1), filled)


@torch.no_grad()
def imagine(model: KeyIn, context: Float[Tensor, "B T C H W"], generator: torch.Generator) -> Reconstruction:
    """One prior sample per context, put together in the same way."""
    state = model.encode(Context(context, context.new_zeros(len(context), context.shape[1] - 1, 0)))
    future = model.imagine(state, _noise(model, len(context), generator))
    times = future.times.long()
    offsets = times.diff(dim=1, prepend=torch.zeros_like(times[:, :1]))
    return Reconstruction(times, model.compose(state.embedding, future.features, offsets))


def embed(model: KeyIn, frames: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T F"]:
    """Embeddings of the pictures of sequences."""
    with autocast(frames.device):
        embeddings = model.embed(frames.flatten(0, 1))
    return embeddings.float().unflatten(0, frames.shape[:2])


def decode(model: KeyIn, embeddings: Float[Tensor, "B N F"]) -> Float[Tensor, "B N C H W"]:
    """Pictures of sequences of embeddings."""
    return model.decode(embeddings.flatten(0, 1)).unflatten(0, embeddings.shape[:2])


def _noise(model: KeyIn, batch: int, generator: torch.Generator) -> Float[Tensor, "B M Z"]:
    shape = (batch, model.config.keyframes, model.config.latent)
    return torch.randn(shape, generator=generator).to(next(model.parameters()).device)
