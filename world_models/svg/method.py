"""SVG on pictures as the verbs know it."""

from world_models.svg.config import SVGConfig
from world_models.svg.evaluation.evaluation import SVGEvaluation, evaluate_svg
from world_models.svg.model import SVG
from world_models.svg.presets import SVG_PRESETS
from world_models.svg.recipe import SVGRun
from world_models.svg.run import train_svg_model
from world_models.training.method import RUNS, Evaluation, Method

SVG_ON_PICTURES = Method(
    config=SVGConfig,
    load=SVG.load,
    runs={
        name: (text, SVGRun(recipe=recipe, data=folder, out=RUNS / name))
        for name, (text, folder, recipe) in SVG_PRESETS.items()
    },
    train=train_svg_model,
    evaluations={
        "svg": Evaluation(SVGEvaluation, lambda job, command: evaluate_svg(job, command)["table"]),
    },
)
