"""The Kalman model as the verbs know it."""

from world_models.kalman.config import KalmanConfig
from world_models.kalman.evaluation.evaluation import KalmanEvaluation, evaluate_kalman
from world_models.kalman.model import Kalman
from world_models.kalman.presets import KALMAN_PRESETS
from world_models.kalman.recipe import KalmanRun
from world_models.kalman.run import train_kalman
from world_models.training.method import RUNS, Evaluation, Method

KALMAN = Method(
    config=KalmanConfig,
    load=Kalman.load,
    runs={
        name: (text, KalmanRun(recipe=recipe, data=folder, out=RUNS / name))
        for name, (text, folder, recipe) in KALMAN_PRESETS.items()
    },
    train=train_kalman,
    evaluations={
        "kalman": Evaluation(KalmanEvaluation, lambda job, command: evaluate_kalman(job, command)["table"]),
    },
)
