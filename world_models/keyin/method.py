"""KeyIn as the verbs know it."""

from world_models.keyin.config import KeyInConfig
from world_models.keyin.evaluation import KeyInEvaluation, evaluate_keyin, figure_lines
from world_models.keyin.keyframes.evaluation import KeyframeEvaluation, evaluate_keyframes
from world_models.keyin.keyframes.results import markdown_table
from world_models.keyin.model import KeyIn
from world_models.keyin.presets import PRESETS
from world_models.keyin.published.presets import PAPER_PRESETS
from world_models.keyin.recipe import KeyInRun
from world_models.keyin.run import train_keyin
from world_models.training.method import RUNS, Evaluation, Method

KEYIN = Method(
    config=KeyInConfig,
    load=KeyIn.load,
    runs={
        name: (text, KeyInRun(recipe=recipe, out=RUNS / name))
        for name, (text, recipe) in (PRESETS | PAPER_PRESETS).items()
    },
    train=train_keyin,
    evaluations={
        "keyin-push": Evaluation(KeyInEvaluation, lambda job, _: figure_lines(evaluate_keyin(job))),
        "keyframes": Evaluation(KeyframeEvaluation, lambda job, _: markdown_table(evaluate_keyframes(job))),
    },
)
