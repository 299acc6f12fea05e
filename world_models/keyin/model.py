"""KeyIn as a world model: a decision is a latent, a step is a keyframe."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import read_model
from world_models.interface import Context, Future
from world_models.keyin.config import KeyInConfig
from world_models.keyin.networks import Autoencoder, Interpolator
from world_models.keyin.predictor import KeyframePredictor
from world_models.precision import autocast

DECODED = 25
"""Pictures decoded at a time: so few that the intermediate maps stay in a CPU's cache."""


@dataclass(frozen=True)
class KeyInState:
    """The last seen frame's embedding and the keyframe LSTM's state."""

    embedding: Float[Tensor, "B F"]
    hidden: Float[Tensor, "B layers H"]
    cell: Float[Tensor, "B layers H"]


class KeyIn(nn.Module):
    """The whole model; satisfies :class:`world_models.interface.WorldModel`.

    ``decisions`` are standard normal under the prior: with a learned prior they are turned into latents as
    ``mean + std * decision``, so a planner searches N(0, I) either way. Features are frame embeddings.
    Only the last context frame is used (one conditioning frame, as in the paper's pushing experiments).
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.config = config
        self.decision_dim = config.latent
        self.autoencoder = Autoencoder(config)
        self.interpolator = Interpolator(config)
        self.predictor = KeyframePredictor(config)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "KeyIn":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        stored = read_model(folder)
        model = cls(stored.parse_config(KeyInConfig))
        stored.fill(model)
        return model.to(device).eval().requires_grad_(False)

    def encode(self, context: Context) -> KeyInState:
        """State after the context's last frame."""
        embedding = self.embed(context.frames[:, -1])
        hidden, cell = self.predictor.initial(embedding)
        return KeyInState(embedding, hidden.transpose(0, 1), cell.transpose(0, 1))

    def imagine(self, state: KeyInState, decisions: Float[Tensor, "B L Z"]) -> Future:
        """The keyframes that ``decisions`` (~ N(0, I)) lead to, and their most likely times in frames."""
        lstm = (state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous())
        with autocast(decisions.device):
            embeddings, logits = self.predictor.sample(lstm, state.embedding, decisions)
        return Future(embeddings, (logits.argmax(-1) + 1).cumsum(-1).float())

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embeddings of pictures."""
        return self.autoencoder.encode(frames)

    def decode(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        """Pictures of embeddings."""
        with autocast(features.device):
            pieces = [torch.sigmoid(self.autoencoder.logits(piece)) for piece in features.split(DECODED)]
        return torch.cat(pieces)
