"""KeyIn as a world model: a decision is a latent, a step is a keyframe."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.interface import Context, Future
from world_models.keyin.config import KeyInConfig
from world_models.keyin.discovery.chords import chord_distances, fill_gaps
from world_models.keyin.discovery.coding import KeyframeCoder, coding_costs
from world_models.keyin.discovery.segmentation import (
    best_offsets,
    follow,
    holding_costs,
    onward_offsets,
    segment_costs,
)
from world_models.keyin.networks import Autoencoder, Interpolator
from world_models.keyin.predictor import KeyframePredictor, Keyframes
from world_models.keyin.published.interpolator import LSTMInterpolator
from world_models.keyin.published.predictor import PublishedPredictor
from world_models.keyin.rollout import KeyframeRollout
from world_models.precision import autocast

DECODED = 25
"""Pictures decoded at a time: so few that the intermediate maps stay in a CPU's cache; ..."""
MANY_DECODED = 2048
"""... on another device so many that it has enough to do."""


@dataclass(frozen=True)
class KeyInState:
    """The last seen frame's embedding and the keyframe LSTM's state."""

    embedding: Float[Tensor, "B F"]
    hidden: Float[Tensor, "B layers H"]
    cell: Float[Tensor, "B layers H"]


class KeyIn(FromHub, nn.Module):
    """The whole model; satisfies :class:`world_models.interface.WorldModel`.

    ``decisions`` are standard normal under the prior: with a learned prior they are turned into latents as
    ``mean + std * decision``, so a planner searches N(0, I) either way. Features are frame embeddings.
    The last T frames of the context are used (T = 1, as in the paper's pushing experiments).
    """

    def __init__(self, config: KeyInConfig) -> None:
        super().__init__()
        self.config = config
        self.decision_dim = config.latent
        self.autoencoder = Autoencoder(config)
        self.interpolator: Interpolator | LSTMInterpolator
        self.predictor: KeyframePredictor | PublishedPredictor
        if config.published:
            self.interpolator, self.predictor = LSTMInterpolator(config), PublishedPredictor(config)
        else:
            self.interpolator, self.predictor = Interpolator(config), KeyframePredictor(config)
        self._ready: tuple[object, KeyframeRollout] | None = None
        if config.has_coder:
            self.coder = KeyframeCoder(config)
        if config.knows_timing:
            self.register_buffer("timing", torch.zeros(config.frames, config.max_offset))
            self.timing: Float[Tensor, "N S"]

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "KeyIn":
        """Load a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, KeyInConfig, device)

    def encode(self, context: Context) -> KeyInState:
        """State after the context's last frame.

        Raises:
            ValueError: the context has fewer frames than the model needs.
        """
        needed, (batch, given) = self.config.context, context.frames.shape[:2]
        if given < needed:
            raise ValueError(f"the model needs {needed} context frames, got {given}")
        frames = context.frames[:, given - needed :]
        embeddings = self.embed(frames.flatten(0, 1)).unflatten(0, (batch, needed))
        hidden, cell = self.predictor.initial(embeddings)
        return KeyInState(embeddings[:, -1], hidden.transpose(0, 1), cell.transpose(0, 1))

    def imagine(self, state: KeyInState, decisions: Float[Tensor, "B L Z"]) -> Future:
        """The keyframes that ``decisions`` (~ N(0, I)) lead to, and their most likely times in frames.

        With ``countdown`` the number of decisions is the number of keyframes that the plan is to have.

        Raises:
            ValueError: ... and it is more than M.
        """
        if self.config.countdown and decisions.shape[1] > self.config.keyframes:
            raise ValueError(
                f"this model plans up to {self.config.keyframes} keyframes, not {decisions.shape[1]}"
            )
        lstm = (state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous())
        predictor = self.predictor
        # Somebody may want gradients; otherwise there is a faster way.
        if isinstance(predictor, KeyframePredictor) and not torch.is_grad_enabled():
            embeddings, logits = self._rollout(predictor).sample(lstm, state.embedding, decisions)
        else:
            with autocast(decisions.device):
                embeddings, logits = predictor.sample(lstm, state.embedding, decisions)
        return Future(embeddings, (logits.argmax(-1) + 1).cumsum(-1).float())

    def _rollout(self, predictor: KeyframePredictor) -> KeyframeRollout:
        """The predictor made ready for many roll-outs, anew whenever its weights are others."""
        weights = list(predictor.parameters())
        made_of = (weights[0].device, tuple((id(one), one._version) for one in weights))
        if self._ready is None or self._ready[0] != made_of:
            self._ready = (made_of, KeyframeRollout(predictor))
        return self._ready[1]

    def places(self, embeddings: Float[Tensor, "B frames F"]) -> Float[Tensor, "B frames G"]:
        """Where sequences show the objects of the model's goal, x and y of each in turn, in pixels of the
        decoded pictures.

        Frames that do not show one are filled in from those before and after.

        Raises:
            ValueError: the model has no goal.
        """
        if self.config.goal is None:
            raise ValueError("this model has no goal, so that there is no object to find")
        segmenters = [one.segmenter for one in self.config.goal.objects]
        found = []
        for sequence in embeddings:
            pictures = self.decode(sequence)
            found.append([segmenter.blob(pictures).centre for segmenter in segmenters])
        each = zip(*found, strict=True)
        return torch.cat([fill_gaps(torch.stack(centres)) for centres in each], dim=-1)

    def keyframe_costs(
        self, frames: Float[Tensor, "B frames F"], places: Float[Tensor, "B frames G"] | None = None
    ) -> tuple[Float[Tensor, "B N S"], Float[Tensor, "B N+1"]]:
        """What every segment of known sequences costs, and every place for the last keyframe to be.

        All of :class:`~world_models.keyin.config.Segmentation` but the segments' lengths. ``places`` of the
        object are found if they are needed and not given.

        Raises:
            ValueError: the model's keyframes are not inferred from costs.
        """
        settings, size = self.config.segmentation, self.config.max_offset
        if settings is None:
            raise ValueError("this model's keyframes do not follow from what they cost")
        known = frames[:, self.config.context - 1 :]
        costs = known.new_zeros(len(known), known.shape[1] - 1, size)
        with autocast(frames.device):
            if settings.interpolation:
                errors = segment_costs(self.interpolator, known, size)
                if settings.floor:
                    errors = torch.log1p(errors / settings.floor)
                costs += settings.interpolation * errors
            if settings.coding:
                costs += settings.coding * coding_costs(self.coder, known, size, settings.coding_beta)
        if settings.object:
            found = self.places(frames) if places is None else places
            squares, _ = chord_distances(found[:, self.config.context - 1 :], size)
            costs += settings.object * squares
        time = torch.arange(known.shape[1] - 1, device=frames.device)[:, None]
        later = time + torch.arange(1, size + 1, device=frames.device)
        return costs + settings.price + settings.delay * later, holding_costs(known)

    def segment(self, frames: Float[Tensor, "B frames F"]) -> Int[Tensor, "B M"]:
        """Offsets (1..S) of the cheapest keyframes of known sequences; 0 where fewer than M are used.

        Raises:
            ValueError: the model's keyframes are not inferred from costs.
        """
        costs, ending = self.keyframe_costs(frames)
        settings, count = self.config.segmentation, self.config.keyframes
        assert settings is not None
        if self.config.countdown:
            start = torch.zeros(len(frames), dtype=torch.long, device=frames.device)
            return follow(onward_offsets(costs, count), start, torch.full_like(start, count))
        costs = costs + settings.timing * self.timing
        return best_offsets(costs, count, ending, settings.exact)

    def infer(self, frames: Float[Tensor, "B frames F"], noise: Float[Tensor, "B M Z"]) -> Keyframes:
        """Keyframes of known sequences, with decisions drawn from the posterior.

        Raises:
            ValueError: the model's keyframes cannot be inferred.
        """
        if isinstance(self.predictor, PublishedPredictor):
            return self.predictor.infer(frames, noise)
        return self.predictor.infer(frames, self.segment(frames), noise)

    def needed(self, state: KeyInState, place: Float[Tensor, "B G"], confidence: float) -> Int[Tensor, " B"]:
        """How many keyframes bring the objects from what was seen to ``place`` (pixels) in straight lines:
        the fewest that are enough with this probability.

        Raises:
            ValueError: the model was not trained to say.
        """
        if not self.config.counts or isinstance(self.predictor, PublishedPredictor):
            raise ValueError("this model does not say how many keyframes are needed")
        share = torch.softmax(self.predictor.needs(self.asked(state.embedding, place)).float(), dim=-1)
        return ((share.cumsum(-1) < confidence).sum(-1) + 1).clamp(max=self.config.keyframes)

    def asked(self, embedding: Float[Tensor, "B F"], place: Float[Tensor, "B G"]) -> Float[Tensor, "B I"]:
        """What the number of keyframes needed is read from: the present, and where the objects are to be."""
        return torch.cat([embedding, 2.0 * place / (self.config.image_size - 1) - 1.0], dim=-1)

    def compose(
        self, first: Float[Tensor, "B F"], keyframes: Float[Tensor, "B M F"], offsets: Int[Tensor, "B M"]
    ) -> Float[Tensor, "B N F"]:
        """The N frames after ``first``: segments between keyframes filled in, the last keyframe held.

        ``offsets`` count from 1; what lies beyond N is cut off (section 3.1, hard composition).
        """
        size, count = self.config.max_offset, self.config.frames
        starts = torch.cat([first[:, None], keyframes[:, :-1]], dim=1)
        chosen = functional.one_hot(offsets - 1, size).float()
        ends = (starts.flatten(0, 1), keyframes.flatten(0, 1))
        segments = self.interpolator(*ends, chosen.flatten(0, 1)).unflatten(0, offsets.shape)
        times = offsets.cumsum(-1)
        now = torch.arange(1, count + 1, device=offsets.device)
        segment = (times[:, :, None] < now).sum(1)  # how many keyframes are past
        held = segment == offsets.shape[1]
        segment = segment.clamp(max=offsets.shape[1] - 1)
        begun = (times - offsets).gather(1, segment)
        step = (now - begun - 1).clamp(0, size - 1)
        filled = segments[torch.arange(len(first), device=offsets.device)[:, None], segment, step]
        return torch.where(held[..., None], keyframes[:, -1:], filled)

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embeddings of pictures."""
        return self.autoencoder.encode(frames)

    def decode(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        """Pictures of embeddings."""
        many = DECODED if features.device.type == "cpu" else MANY_DECODED
        with autocast(features.device):
            pieces = [torch.sigmoid(self.autoencoder.logits(piece)) for piece in features.split(many)]
        return torch.cat(pieces)
