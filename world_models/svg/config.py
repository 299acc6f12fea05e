"""Sizes of SVG models."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from world_models.training.fit import NonNegativeInt, PositiveInt

Prior = Literal["learned", "fixed", "none"]


class LatentSVGConfig(BaseModel):
    """Sizes of the recurrent networks, which see embeddings of frames."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["svg-latent"] = "svg-latent"
    prior: Prior = "fixed"
    """``learned`` depends on the frames before (SVG-LP), ``fixed`` is N(0, I) at every step (SVG-FP),
    ``none`` is the deterministic baseline, which has no latents."""
    embedding: PositiveInt = 96
    """Size F of a frame's embedding."""
    latent: NonNegativeInt = 10
    """Size Z of the latent of one step; 0 where ``prior`` is ``none``."""
    hidden: PositiveInt = 192
    """Width of all recurrent layers."""
    layers: PositiveInt = 2
    """Layers of the predictor; posterior and prior have one."""
    actions: NonNegativeInt = 0
    """Size A of the action that leads to a frame; 0 where nobody acts."""

    @model_validator(mode="after")
    def _latents_have_a_prior(self) -> "LatentSVGConfig":
        if (self.prior == "none") != (self.latent == 0):
            raise ValueError("latent must be 0 where prior is 'none', and positive where it is not")
        return self


class SVGConfig(BaseModel):
    """Sizes of an SVG model of pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["svg"] = "svg"
    image_size: Annotated[int, Field(gt=0, multiple_of=8)] = 64
    """Side of the square pictures in pixels, a multiple of 8."""
    channels: PositiveInt = 1
    """Colours of a picture."""
    widths: tuple[PositiveInt, PositiveInt] = (32, 64)
    """Feature maps at a quarter and an eighth of the picture's side."""
    bottleneck: PositiveInt = 12
    """Feature maps at an eighth of the side that the dense layers see and make."""
    strokes: PositiveInt = 48
    """Feature maps of the decoder's last layer but one, at a quarter of the side."""
    dense: PositiveInt = 256
    """Width of the dense layers between feature maps and embedding."""
    encode_again: bool = False
    """As published: predicted frames are decoded and encoded again before they go in, in the place of the
    predicted embedding itself."""
    recurrent: LatentSVGConfig = LatentSVGConfig(prior="learned", embedding=128)
    """The networks that predict embeddings."""

    @property
    def prior(self) -> Prior:
        """See :class:`LatentSVGConfig`."""
        return self.recurrent.prior

    @property
    def latent(self) -> int:
        """Size Z of the latent of one step; 0 in a deterministic model."""
        return self.recurrent.latent

    @property
    def actions(self) -> int:
        """Size A of the action that leads to a frame; 0 where nobody acts."""
        return self.recurrent.actions
