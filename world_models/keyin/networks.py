"""KeyIn's frame autoencoder and interpolator (section 3.1); the keyframe predictor has its own module."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from world_models.keyin.config import KeyInConfig
from world_models.layers import BlobDecoder, FrameEncoder


class Autoencoder(nn.Module):
    """CNN_enc and CNN_dec: pictures <-> embeddings of zero mean and unit variance."""

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        size, dense, embedding = config.image_size, config.dense, config.embedding
        self.encoder = FrameEncoder(size, config.widths, config.keypoints, dense, embedding)
        self.decoder = BlobDecoder(size, config.blobs, dense, embedding)

    def encode(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embed pictures; every embedding has mean 0 and variance 1 over F."""
        return self.encoder(frames)

    def logits(self, embeddings: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        """Pictures before the sigmoid."""
        return self.decoder(embeddings)


class Interpolator(nn.Module):
    """LSTM_inter's place: the frames that follow a keyframe, given the next keyframe and when it comes.

    Works on embeddings. Output ``i`` (counted from 1) is the frame ``i`` steps after the first keyframe; at
    the second keyframe's offset it is that keyframe, beyond it means nothing. Every frame is a correction to
    a straight line between the two ends, made by one network that is told ``i`` and the offset: all frames of
    all segments at once, where the paper's LSTM goes step by step. Deterministic (the paper trains a VAE and
    then samples its prior).
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        size, width = config.longest_segment, 2 * config.hidden
        self.ends = nn.Linear(2 * config.embedding, width)
        self.when = nn.Linear(2 * size + 1, width, bias=False)
        self.correction = nn.Sequential(
            nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, config.embedding)
        )
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)
        step = torch.arange(1, size + 1)
        self.register_buffer("progress", (step[:, None] / step).clamp(max=1.0), persistent=False)
        self.progress: Float[Tensor, "L L"]

    def forward(
        self, start: Float[Tensor, "B F"], end: Float[Tensor, "B F"], offset: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B S F"]:
        """Frames 1..S after ``start``; ``end`` comes ``offset`` (a distribution over 1..S) frames later."""
        size, longest = offset.shape[-1], len(self.progress)
        share = (offset @ self.progress[:size, :size].T)[..., None]  # expected progress of frame i
        step = torch.eye(longest, device=offset.device)[:size].expand(len(offset), -1, -1)
        padded = functional.pad(offset, (0, longest - size))[:, None].expand(-1, size, -1)
        when = self.when(torch.cat([share, step, padded], dim=-1))
        line = start[:, None] + share * (end - start)[:, None]
        features = self.ends(torch.cat([start, end], dim=-1))[:, None] + when
        return self.norm((line + self.correction(features)).float())
