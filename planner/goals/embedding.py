"""The goal picture as a whole, in the embedding of the model that plans."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.goals import EmbeddingGoal
from world_models.interface import Future
from world_models.keyin.model import KeyIn


class SameEmbedding:
    """A picture's embedding; distances are in units of the median distance of consecutive frames."""

    def __init__(self, wanted: EmbeddingGoal, model: KeyIn) -> None:
        self.wanted, self._model = wanted, model

    @torch.inference_mode()
    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The embeddings."""
        return self._model.embed(pictures)

    def distance(self, found: Float[Tensor, "B F"], target: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
        """Euclidean."""
        return self.wanted.distance(found, target)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Whether the autoencoder knows such pictures: their embedding survives a cycle."""
        embeddings = self.target(pictures)
        return self.consistent(self._model.decode(embeddings), embeddings)

    @torch.inference_mode()
    def consistent(
        self, pictures: Float[Tensor, "B C H W"], embeddings: Float[Tensor, "B F"]
    ) -> Bool[Tensor, " B"]:
        """Whether embeddings are those of the pictures they decode into."""
        error = (self._model.embed(pictures) - embeddings).square().sum(-1)
        return error < self.wanted.cycle_limit


class EmbeddingCost:
    """What a plan costs: how far the keyframe that it ends at is from the goal, how late and how unlikely."""

    def __init__(self, wanted: EmbeddingGoal, model: KeyIn) -> None:
        self.wanted, self._model = wanted, model

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Embeddings of the goal pictures."""
        return self._model.embed(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L Z"], target: Float[Tensor, "B F"]
    ) -> Float[Tensor, " B"]:
        """The price of the cheapest keyframe to end at, in squared units."""
        return self.wanted.price(future.features, future.times, decisions, target).min(-1).values
