"""SVG: stochastic video prediction, one frame at a time (Denton and Fergus 2018)."""

from world_models.svg.config import LatentSVGConfig, SVGConfig
from world_models.svg.latent import LatentSVG
from world_models.svg.model import SVG, SVGState

__all__ = ["SVG", "LatentSVG", "LatentSVGConfig", "SVGConfig", "SVGState"]
