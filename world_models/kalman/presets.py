"""Named trainings of Kalman models; the -debug ones run every stage in seconds, for tests."""

from pathlib import Path

from world_models.kalman.config import KalmanConfig
from world_models.kalman.recipe import KalmanRecipe, Stage

BALLS, LONG_BALLS = Path("data/cannonballs"), Path("data/cannonballs-long")
"""The paper's two data sets: 30 frames of 48 x 48, and 50 of 32 x 32 (section 3.1)."""


def _ours(image_size: int) -> KalmanRecipe:
    return KalmanRecipe(
        model=KalmanConfig(image_size=image_size),
        frozen=Stage(steps=200, batch=32, most_objects=1, learning_rate=4e-3),
        single=Stage(steps=600, batch=32, most_objects=1, learning_rate=4e-3),
        joint=Stage(steps=5800, batch=32, drawn=15, learning_rate=4e-3),
    )


def _published(image_size: int, drawn: int) -> KalmanRecipe:
    """Section 3.2 at half the state's size and a fraction of the steps: 30,000 of 200,000."""
    return KalmanRecipe(
        model=KalmanConfig(image_size=image_size, state=512, published=True),
        frozen=Stage(steps=2000, batch=20, drawn=drawn, learning_rate=1e-3),
        single=Stage(steps=10_000, batch=20, drawn=drawn, kl_start=100.0, learning_rate=1e-3),
        joint=Stage(steps=18_000, batch=20, drawn=drawn, learning_rate=1e-3),
    )


KALMAN_PRESETS: dict[str, tuple[str, Path, KalmanRecipe]] = {
    "kalman-cannonballs": ("Kalman model of one to three cannonballs", BALLS, _ours(48)),
    "kalman-cannonballs-long": ("the same of 50 frames of 32 x 32", LONG_BALLS, _ours(32)),
    "kalman-cannonballs-paper": ("the paper's inference network and training", BALLS, _published(48, 30)),
    "kalman-cannonballs-long-paper": (
        "the same of 50 frames of 32 x 32",
        LONG_BALLS,
        _published(32, 50),
    ),
    "kalman-paper-debug": (
        "the paper's inference network on tiny pictures, in seconds",
        BALLS,
        KalmanRecipe(
            model=KalmanConfig(image_size=12, most_objects=2, canvas=16, state=8, published=True),
            held_out=2,
            frozen=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=2),
            single=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=2, kl_start=100.0),
            joint=Stage(steps=2, batch=2, save_every=1, drawn=2),
        ),
    ),
    "kalman-debug": (
        "Kalman model of tiny pictures, in seconds",
        BALLS,
        KalmanRecipe(
            model=KalmanConfig(image_size=12, most_objects=2, canvas=16, state=8, filter_size=3),
            held_out=2,
            frozen=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1),
            single=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1, kl_start=10.0),
            joint=Stage(steps=2, batch=2, save_every=1, drawn=2),
        ),
    ),
}
