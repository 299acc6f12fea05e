"""Named recipes of KeyIn as published, and of what makes it train; the ``-debug`` one runs in seconds."""

from world_models.keyin.config import KeyInConfig, Segmentation
from world_models.keyin.presets import KEYIN_BROWNIAN, KEYIN_DEBUG, KEYIN_PUSH
from world_models.keyin.published.stage import DiscoveryStage
from world_models.keyin.recipe import KeyInRecipe
from world_models.training.fit import FitConfig


def _published(recipe: KeyInRecipe, latent: int, discovery: DiscoveryStage, location: bool) -> KeyInRecipe:
    changed = {
        "published": True,
        "location": location,
        "segmentation": None,
        "prior": "standard",
        "latent": latent,
    }
    model = KeyInConfig.model_validate(recipe.model.model_dump() | changed)
    return recipe.model_copy(update={"model": model, "discovery": discovery, "reader": None})


def _paper(recipe: KeyInRecipe) -> KeyInRecipe:
    """Section 3.2 and its weights; 15,000 of 200,000 steps."""
    stage = DiscoveryStage(steps=15_000, batch=64, learning_rate=1e-3)
    return _published(recipe, 10, stage, location=False)


def _trains(recipe: KeyInRecipe) -> KeyInRecipe:
    """With a location in the attention, a reward of entropy that falls slowly, a KL that is small at first, a
    price, and expected errors.
    """
    stage = DiscoveryStage(
        steps=15_000,
        batch=64,
        beta_start=1e-3,
        interpolation_weight=30.0,
        entropy=5.0,
        price=2.0,
        segments="expected",
    )
    return _published(recipe, 10, stage, location=True)


_UNLABELLED = KEYIN_PUSH.model.model_copy(update={"segmentation": Segmentation(delay=0.0)})

PAPER_PRESETS: dict[str, tuple[str, KeyInRecipe]] = {
    "keyin-brownian-paper": (
        "KeyIn as published, on Structured Brownian motion",
        _paper(KEYIN_BROWNIAN.model_copy(update={"interpolator": FitConfig(steps=10_000, batch=256)})),
    ),
    "keyin-push-paper": ("KeyIn as published, on the pushing demonstrations", _paper(KEYIN_PUSH)),
    "keyin-brownian-paper-plus": (
        "keyin-brownian-paper with what makes it train",
        _trains(KEYIN_BROWNIAN.model_copy(update={"interpolator": FitConfig(steps=10_000, batch=256)})),
    ),
    "keyin-push-paper-plus": ("keyin-push-paper with what makes it train", _trains(KEYIN_PUSH)),
    "keyin-push-unlabelled": (
        "keyin-push without the one setting that was chosen with labels",
        KEYIN_PUSH.model_copy(update={"model": _UNLABELLED}),
    ),
    "keyin-paper-debug": (
        "KeyIn as published on tiny pictures, in seconds",
        _published(KEYIN_DEBUG, 2, DiscoveryStage(steps=2, batch=4, save_every=1), location=False),
    ),
}
