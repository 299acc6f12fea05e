"""KeyIn on data that users bring, as ``python -m world_models.train`` knows it."""

from world_models.keyin.own.preset import OWN, OWN_DEBUG, OwnKeyInRun, fit_to_data
from world_models.keyin.run import train_keyin
from world_models.training.method import RUNS, Refinement

OWN_KEYIN = Refinement(
    runs={
        "keyin": ("KeyIn on data of yours, whatever it shows", OwnKeyInRun(recipe=OWN, out=RUNS / "keyin")),
        "keyin-own-debug": (
            "the same in seconds",
            OwnKeyInRun(recipe=OWN_DEBUG, out=RUNS / "keyin-own-debug"),
        ),
    },
    train=lambda run, command: train_keyin(fit_to_data(run), command),
)
