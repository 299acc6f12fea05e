"""The network that searches ask where things are: it takes a thousandth of the time of a picture."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import READER, CheckpointError, StoredModel

NUMBERS = 3
"""Per object: x, y, and how surely it is there."""


class PlaceReader(nn.Module):
    """Embeddings -> places of objects in pixels (x right, y down)."""

    def __init__(self, embedding: int, width: int, objects: int, image_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(embedding, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, NUMBERS * objects),
        )
        self.middle = (image_size - 1) / 2

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], image_size: int) -> "PlaceReader":
        """The reader with these weights, ready for use.

        Raises:
            ValueError: they are of something else.
        """
        try:
            (width, embedding), numbers = tensors["layers.0.weight"].shape, len(tensors["layers.4.bias"])
            reader = cls(embedding, width, numbers // NUMBERS, image_size)
            reader.load_state_dict(dict(tensors))
        except (KeyError, ValueError, RuntimeError) as error:
            raise ValueError(f"no weights of a reader: {error}") from error
        return reader.eval().requires_grad_(False)

    def forward(
        self, embeddings: Float[Tensor, "B F"]
    ) -> tuple[Float[Tensor, "B K 2"], Float[Tensor, "B K"]]:
        """Places, and logits of being there."""
        found = self.layers(embeddings).unflatten(-1, (-1, NUMBERS))
        return self.middle * (1 + found[..., :2]), found[..., 2]

    def locate(self, embeddings: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        """X and y of every object in turn; NaN where there is none."""
        places, there = self(embeddings)
        return places.masked_fill((there < 0)[..., None], torch.nan).flatten(-2)


def load_reader(stored: StoredModel, image_size: int, device: torch.device | str) -> PlaceReader | None:
    """The reader of a stored model; None if it has none.

    Raises:
        CheckpointError: it is damaged.
    """
    if stored.reader is None:
        return None
    try:
        return PlaceReader.from_tensors(stored.reader, image_size).to(device)
    except ValueError as error:
        raise CheckpointError(f"{stored.folder / READER} is none: {error}") from error
