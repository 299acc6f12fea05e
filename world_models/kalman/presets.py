"""Named trainings of Kalman models; the -debug one runs every stage in seconds, for tests."""

from world_models.kalman.config import KalmanConfig
from world_models.kalman.recipe import KalmanRecipe, Stage

KALMAN_PRESETS: dict[str, tuple[str, KalmanRecipe]] = {
    "kalman-cannonballs": (
        "Kalman model of one to three cannonballs",
        KalmanRecipe(
            frozen=Stage(steps=200, batch=32, most_objects=1, learning_rate=4e-3),
            single=Stage(steps=600, batch=32, most_objects=1, learning_rate=4e-3),
            joint=Stage(steps=5800, batch=32, drawn=15, learning_rate=4e-3),
        ),
    ),
    "kalman-debug": (
        "Kalman model of tiny pictures, in seconds",
        KalmanRecipe(
            model=KalmanConfig(image_size=12, most_objects=2, canvas=16, state=8, filter_size=3),
            held_out=2,
            frozen=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1),
            single=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1, kl_start=10.0),
            joint=Stage(steps=2, batch=2, save_every=1, drawn=2),
        ),
    ),
}
