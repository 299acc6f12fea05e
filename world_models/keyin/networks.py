"""KeyIn's frame autoencoder and interpolator (section 3.1); the keyframe predictor has its own module."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.keyin.config import KeyInConfig
from world_models.layers import BlobDecoder, FrameEncoder, mlp

State = tuple[Float[Tensor, "layers B H"], Float[Tensor, "layers B H"]]

LAYERS = 2


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


class StateInit(nn.Module):
    """The initial state of a two-layer LSTM as a function of some features."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.net = mlp(inputs, hidden, 2 * LAYERS * hidden)

    def forward(self, features: Float[Tensor, "B I"]) -> State:
        hidden, cell = self.net(features).unflatten(-1, (2, LAYERS, -1)).unbind(1)
        return hidden.transpose(0, 1).contiguous(), torch.tanh(cell).transpose(0, 1).contiguous()


class Interpolator(nn.Module):
    """LSTM_inter: the S frames that follow a keyframe, given the next keyframe and when it comes.

    Works on embeddings. Output ``i`` (counted from 1) is the frame ``i`` steps after the first keyframe; at
    the second keyframe's offset it is that keyframe, beyond it means nothing. The network corrects a straight
    line between the two ends, and is deterministic (the paper trains a VAE and then samples its prior).
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.max_offset = config.max_offset
        self.initial = StateInit(2 * config.embedding + config.max_offset, config.hidden)
        self.lstm = nn.LSTM(1 + config.max_offset, config.hidden, LAYERS, batch_first=True)
        self.correction = nn.Linear(config.hidden, config.embedding)
        self.norm = nn.LayerNorm(config.embedding, elementwise_affine=False)
        step = torch.arange(1, config.max_offset + 1)
        self.register_buffer("progress", (step[:, None] / step).clamp(max=1.0), persistent=False)
        self.progress: Float[Tensor, "S S"]

    def forward(
        self, start: Float[Tensor, "B F"], end: Float[Tensor, "B F"], offset: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B S F"]:
        """Frames 1..S after ``start``; ``end`` comes ``offset`` (a distribution over 1..S) frames later."""
        share = (offset @ self.progress.T)[..., None]  # how far along the segment frame i is expected to be
        state = self.initial(torch.cat([start, end, offset], dim=-1))
        times = torch.cat([share, offset[:, None].expand(-1, self.max_offset, -1)], dim=-1)
        hidden, _ = self.lstm(times, state)
        line = start[:, None] + share * (end - start)[:, None]
        return self.norm((line + self.correction(hidden)).float())
