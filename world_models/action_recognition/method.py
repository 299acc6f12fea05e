"""Action recognition as the verbs know it."""

from world_models.action_recognition.config import ActionClassifierConfig
from world_models.action_recognition.evaluation.evaluation import ActionEvaluation, evaluate_actions
from world_models.action_recognition.model import ActionClassifier
from world_models.action_recognition.presets import ACTION_PRESETS
from world_models.action_recognition.recipe import ActionRun
from world_models.action_recognition.run import train_action_recognition
from world_models.training.method import RUNS, Evaluation, Method

ACTION_RECOGNITION = Method(
    config=ActionClassifierConfig,
    load=ActionClassifier.load,
    runs={
        name: (text, ActionRun(recipe=recipe, out=RUNS / name))
        for name, (text, recipe) in ACTION_PRESETS.items()
    },
    train=train_action_recognition,
    evaluations={
        "actions": Evaluation(
            ActionEvaluation,
            lambda job, command: evaluate_actions(job, command)["table"],
            lambda job: [job.out] if job.plot is None else [job.out, job.plot],
        ),
    },
)
