"""Struct-VRNN as the verbs know it."""

from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.evaluation.evaluation import TrackingEvaluation, evaluate_tracking
from world_models.struct_vrnn.evaluation.imagination import ImaginationEvaluation, evaluate_imagination
from world_models.struct_vrnn.evaluation.manipulation import ManipulationEvaluation, evaluate_manipulation
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import STRUCT_VRNN_PRESETS
from world_models.struct_vrnn.recipe import StructVRNNRun
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.training.method import RUNS, Evaluation, Method

STRUCT_VRNN = Method(
    config=StructVRNNConfig,
    load=StructVRNN.load,
    runs={
        name: (text, StructVRNNRun(recipe=recipe, data=folder, out=RUNS / name))
        for name, (text, folder, recipe) in STRUCT_VRNN_PRESETS.items()
    },
    train=train_struct_vrnn,
    evaluations={
        "struct-vrnn-dmc": Evaluation(
            TrackingEvaluation, lambda job, command: evaluate_tracking(job, command)["table"]
        ),
        "imagination": Evaluation(
            ImaginationEvaluation, lambda job, command: evaluate_imagination(job, command)["table"]
        ),
        "agents": Evaluation(
            ManipulationEvaluation,
            lambda job, command: evaluate_manipulation(job, command)["table"],
            lambda job: [job.out] if job.plot is None else [job.out, job.plot],
        ),
    },
)
