"""How an SVG model of pictures is trained: the configuration of its stages."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from world_models.svg.config import SVGConfig
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveInt, Share
from world_models.training.run import TrainingRun


class VisionStage(FitConfig):
    """Pictures <-> embeddings, with skips from another frame of the same video."""

    batch: PositiveInt
    """Videos per step."""
    targets: PositiveInt = 3
    """Frames of each video that are decoded, with the skips of one more frame."""
    noise: NonNegativeFloat = 0.1
    """Standard deviation added to embeddings, so that near misses still decode."""
    blank: Share = 0.05
    """Share of the steps without skips, so that single frames can be decoded too."""


class EndToEndStage(FitConfig):
    """Encoder, recurrent networks and decoder together, on pixels."""

    batch: PositiveInt
    """Videos per step."""
    beta: NonNegativeFloat = 0.4
    """Weight of the KL in nats against the squared error summed over a picture; the authors' 1e-4 against the
    mean over 64 x 64 pixels is 0.4."""
    seen: PositiveInt = 5
    """Frames whose details the decoder is handed as they come; later it keeps those of the last of them."""


class SVGRecipe(BaseModel):
    """All stages, in order. The last ``held_out`` videos of each data set are never trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: SVGConfig
    held_out: PositiveInt
    videos: PositiveInt = 20000
    """Most videos of each data set that are learned from; they are kept in memory."""
    vision: VisionStage
    dynamics: SVGStage
    end_to_end: EndToEndStage | None = None
    """The only stage, in the place of ``vision`` and ``dynamics``; None for models in two stages."""

    @model_validator(mode="after")
    def _frames_are_encoded_again_as_published(self) -> "SVGRecipe":
        if self.model.encode_again != (self.end_to_end is not None):
            raise ValueError("model.encode_again goes with end_to_end, and is false without it")
        return self


class SVGRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/digits")
    """Folder of videos (``python -m envs.collect`` makes them), or of several such folders."""
    out: Path = Path("runs/svg-lp-digits")
    base: Path | None = None
    """A finished run on the same data whose encoder, decoder and embeddings are used instead of training new
    ones: how models that are compared see the same."""
    recipe: SVGRecipe
    """The preset's settings, each of which can be changed."""
