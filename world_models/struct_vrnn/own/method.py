"""Struct-VRNN on data that users bring, as ``python -m world_models.train`` knows it."""

from world_models.struct_vrnn.own.preset import OWN, OWN_DEBUG, OwnStructVRNNRun, fit_to_data
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.training.method import RUNS, Refinement

OWN_STRUCT_VRNN = Refinement(
    runs={
        "struct-vrnn": (
            "Struct-VRNN on data of yours, whatever it shows",
            OwnStructVRNNRun(recipe=OWN, out=RUNS / "struct-vrnn"),
        ),
        "struct-vrnn-own-debug": (
            "the same in seconds",
            OwnStructVRNNRun(recipe=OWN_DEBUG, out=RUNS / "struct-vrnn-own-debug"),
        ),
    },
    train=lambda run, command: train_struct_vrnn(fit_to_data(run), command),
)
