"""SVG as a world model of pictures: decisions are draws of the prior's noise, then actions."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.interface import Context, Future
from world_models.svg.config import SVGConfig
from world_models.svg.latent import LatentState, LatentSVG
from world_models.svg.vision import Decoder, Encoder, Skips


@dataclass(frozen=True)
class SVGState:
    """What is known after the context."""

    latent: LatentState
    """The recurrent networks and the embedding of the last seen frame."""
    skips: Skips
    """What the decoder takes over from the last seen frame."""

    def repeat(self, times: int) -> "SVGState":
        """Every row ``times`` times in a row."""
        return SVGState(self.latent.repeat(times), self.skips.repeat(times))


class SVG(FromHub, nn.Module):
    """Encoder, decoder with skips from the last true frame, and the recurrent networks between them."""

    def __init__(self, config: SVGConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.dynamics = LatentSVG(config.recurrent)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "SVG":
        """The model of a folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, SVGConfig, device)

    @property
    def decision_dim(self) -> int:
        """Numbers of a decision: noise ~ N(0, I) first, then the action."""
        return self.config.latent + self.config.actions

    def encode(self, context: Context) -> SVGState:
        """See the context's frames, with the posterior's means."""
        embeddings = self.embed_videos(context.frames)
        actions = self.dynamics.driven(embeddings, context.actions)
        return SVGState(self.dynamics.observe(embeddings, actions), self.skips(context.frames[:, -1]))

    def imagine(self, state: SVGState, decisions: Float[Tensor, "B L D"]) -> Future:
        """Embeddings of the frames that decisions lead to; latents are the prior's at the given noise.

        ``decisions[:, 0]`` leads to the first frame after the context.

        Raises:
            ValueError: decisions are not of size ``decision_dim``.
        """
        if decisions.shape[-1] != self.decision_dim:
            raise ValueError(
                f"decisions have {decisions.shape[-1]} numbers, this model takes {self.decision_dim}: "
                f"{self.config.latent} of noise, then {self.config.actions} of the action"
            )
        noise, actions = decisions.split([self.config.latent, self.config.actions], dim=-1)
        again = partial(self._encode_again, state.skips) if self.config.encode_again else None
        features = self.dynamics.imagine(state.latent, noise, actions, again)
        steps = torch.arange(1.0, features.shape[1] + 1, device=features.device)
        return Future(features, steps.expand(features.shape[:2]))

    def _encode_again(self, skips: Skips, features: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
        """What is seen in the pictures of predicted embeddings, one of each video."""
        return self.embed(self.decode(features, skips))

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embeddings of single frames, of mean 0 and variance 1."""
        return self.encoder(self.encoder.look(frames))

    def embed_videos(self, frames: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T F"]:
        """Embeddings of every frame of videos."""
        return self.embed(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def skips(self, frames: Float[Tensor, "B C H W"]) -> Skips:
        """What :meth:`decode` takes over from frames of the same videos."""
        return self.decoder.skips(self.encoder.look(frames))

    def decode(
        self, features: Float[Tensor, "rows F"], skips: Skips | None = None
    ) -> Float[Tensor, "rows C H W"]:
        """Pictures in [0, 1] of embeddings, B * N rows.

        Args:
            features: N embeddings of each video, those of one video in a row.
            skips: of the last true frame of each of the B videos; None where no frame is at hand.
        """
        return self.decoder(features, skips)

    @torch.no_grad()
    def sample(
        self,
        frames: Float[Tensor, "B T C H W"],
        noise: Float[Tensor, "B L Z"],
        actions: Float[Tensor, "B T-1+L A"] | None = None,
    ) -> Float[Tensor, "B L C H W"]:
        """The pictures after a context that draws of noise ~ N(0, I) lead to.

        Args:
            frames: what was seen.
            noise: one draw per step to come.
            actions: those between the seen frames, then those of the steps to come; None where nobody acts.

        Raises:
            ValueError: actions are missing or do not fit.
        """
        seen, (batch, length) = frames.shape[1] - 1, noise.shape[:2]
        acted = self.dynamics.driven(frames.new_zeros(batch, seen + length + 1), actions)
        state = self.encode(Context(frames, acted[:, :seen]))
        future = self.imagine(state, torch.cat([noise, acted[:, seen:]], dim=-1))
        return self.decode(future.features.flatten(0, 1), state.skips).unflatten(0, (batch, length))

    @torch.no_grad()
    def prior_spread(
        self, frames: Float[Tensor, "B T C H W"], actions: Float[Tensor, "B T-1 A"] | None = None
    ) -> Float[Tensor, "B T-1 Z"]:
        """Standard deviations of the prior of frames 1..T-1, given the true frames before each (Fig. 6)."""
        embeddings = self.embed_videos(frames)
        expected, _ = self.dynamics.prior(embeddings[:, :-1], self.dynamics.driven(frames, actions))
        return torch.exp(0.5 * expected[1])

    def surprise(
        self, frames: Float[Tensor, "B T C H W"], actions: Float[Tensor, "B T-1 A"] | None = None
    ) -> Float[Tensor, "B T-1"]:
        """KL[q(z_t) || p(z_t)] in nats; entry t - 1 belongs to frame t (KeyIn, section 9).

        Raises:
            ValueError: the model is deterministic and cannot say.
        """
        return self.dynamics.surprise(self.embed_videos(frames), actions)
