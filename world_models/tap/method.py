"""TAP as the verbs know it; what it is worth is measured by planning with it."""

from world_models.tap.config import TapConfig
from world_models.tap.model import Tap
from world_models.tap.presets import TAP_PRESETS
from world_models.tap.recipe import TapRun
from world_models.tap.run import train_on_pictures
from world_models.training.method import RUNS, Method

TAP = Method(
    config=TapConfig,
    load=Tap.load,
    runs={
        name: (text, TapRun(recipe=recipe, out=RUNS / name)) for name, (text, recipe) in TAP_PRESETS.items()
    },
    train=train_on_pictures,
    evaluations={},
)
