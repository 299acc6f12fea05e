"""How an SVG model of pictures is trained: the configuration of its stages."""

from pydantic import BaseModel, ConfigDict

from world_models.svg.config import SVGConfig
from world_models.svg.latent_training import SVGStage
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveInt, Share


class VisionStage(FitConfig):
    """Pictures <-> embeddings, with skips from another frame of the same video.

    Attributes:
        batch: videos per step.
        targets: frames of each video that are decoded, with the skips of one more frame.
        noise: standard deviation added to embeddings, so that near misses still decode.
        blank: share of the steps without skips, so that single frames can be decoded too.
    """

    targets: PositiveInt = 3
    noise: NonNegativeFloat = 0.1
    blank: Share = 0.05


class SVGRecipe(BaseModel):
    """All stages, in order. The last ``held_out`` videos of each data set are never trained on.

    Attributes:
        videos: most videos of each data set that are learned from; they are kept in memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: SVGConfig
    held_out: PositiveInt
    videos: PositiveInt = 20000
    vision: VisionStage
    dynamics: SVGStage
