"""Named recipes of TAP."""

from world_models.tap.recipe import TapRecipe, TapStage

TAP_PRESETS: dict[str, tuple[str, TapRecipe]] = {
    "tap-push": (
        "TAP on the pictures of a finished keyin-push run",
        TapRecipe(tap=TapStage(steps=5000, batch=128)),
    ),
    "tap-debug": (
        "TAP on the pictures of a finished keyin-debug run, in seconds",
        TapRecipe(tap=TapStage(steps=2, batch=4, save_every=1)),
    ),
}
