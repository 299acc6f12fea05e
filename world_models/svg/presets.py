"""Named trainings of SVG on pictures; the ``-debug`` one runs every stage in seconds, for tests."""

from pathlib import Path

from world_models.svg.config import LatentSVGConfig, Prior, SVGConfig
from world_models.svg.latent_training import SVGStage
from world_models.svg.recipe import EndToEndStage, SVGRecipe, VisionStage


def _digits(prior: Prior) -> SVGRecipe:
    latent = 0 if prior == "none" else 4
    return SVGRecipe(
        model=SVGConfig(recurrent=LatentSVGConfig(prior=prior, embedding=128, latent=latent)),
        held_out=500,
        vision=VisionStage(steps=25000, batch=16, save_every=1000),
        dynamics=SVGStage(steps=5500, batch=64, beta=0.2),
    )


def _end_to_end(prior: Prior) -> SVGRecipe:
    """The published training on the networks of :func:`_digits`; a step costs about four of a first stage."""
    recipe = _digits(prior)
    return SVGRecipe(
        model=recipe.model.model_copy(update={"encode_again": True}),
        held_out=recipe.held_out,
        vision=recipe.vision,
        dynamics=recipe.dynamics,
        end_to_end=EndToEndStage(steps=7000, batch=16, save_every=500),
    )


BROWNIAN = SVGRecipe(
    model=SVGConfig(
        image_size=32,
        channels=3,
        widths=(16, 32),
        strokes=16,
        dense=128,
        recurrent=LatentSVGConfig(prior="fixed", embedding=32, hidden=128),
    ),
    held_out=1000,
    vision=VisionStage(steps=3000, batch=16),
    dynamics=SVGStage(steps=2000, batch=64, beta=0.02),
)

DEBUG = SVGRecipe(
    model=SVGConfig(
        image_size=16,
        widths=(4, 8),
        bottleneck=2,
        strokes=4,
        dense=8,
        recurrent=LatentSVGConfig(prior="learned", embedding=8, latent=2, hidden=8),
    ),
    held_out=2,
    vision=VisionStage(steps=2, batch=2, save_every=1),
    dynamics=SVGStage(steps=2, batch=4, save_every=1),
)

SVG_PRESETS: dict[str, tuple[str, Path, SVGRecipe]] = {
    "svg-lp-digits": ("SVG-LP on Stochastic Moving Digits", Path("data/digits"), _digits("learned")),
    "svg-fp-digits": ("SVG-FP, otherwise as svg-lp-digits", Path("data/digits"), _digits("fixed")),
    "svg-det-digits": (
        "deterministic prediction, otherwise as svg-lp-digits",
        Path("data/digits"),
        _digits("none"),
    ),
    "svg-lp-mnist": ("SVG-LP on Stochastic Moving MNIST", Path("data/mnist"), _digits("learned")),
    "svg-fp-mnist": ("SVG-FP, otherwise as svg-lp-mnist", Path("data/mnist"), _digits("fixed")),
    "svg-det-mnist": (
        "deterministic prediction, otherwise as svg-lp-mnist",
        Path("data/mnist"),
        _digits("none"),
    ),
    "svg-lp-mnist-end-to-end": (
        "SVG-LP trained as published, otherwise as svg-lp-mnist",
        Path("data/mnist"),
        _end_to_end("learned"),
    ),
    "svg-lp-digits-end-to-end": (
        "SVG-LP trained as published, otherwise as svg-lp-digits",
        Path("data/digits"),
        _end_to_end("learned"),
    ),
    "svg-fp-brownian": ("SVG-FP on Structured Brownian motion", Path("data/brownian"), BROWNIAN),
    "svg-end-to-end-debug": (
        "SVG-LP trained as published on tiny pictures, in seconds",
        Path("data/digits"),
        DEBUG.model_copy(
            update={
                "model": DEBUG.model.model_copy(update={"encode_again": True}),
                "end_to_end": EndToEndStage(steps=2, batch=2, save_every=1),
            }
        ),
    ),
    "svg-debug": ("SVG-LP on tiny pictures, in seconds", Path("data/digits"), DEBUG),
}
"""Of each name: what it is, the folder of its data, its recipe."""
