"""The card of an SVG model of pictures."""

from collections.abc import Mapping, Sequence

from world_models.data import SequenceDataset
from world_models.svg.recipe import SVGRecipe, SVGRun
from world_models.training.card import data_line, data_section, training_section

TITLES = {
    "learned": "SVG-LP",
    "fixed": "SVG-FP",
    "none": "Deterministic baseline of SVG",
}


def card_text(
    run: SVGRun, sets: Sequence[SequenceDataset], command: str, figures: Mapping[str, float]
) -> str:
    """What the model is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        sets: what it learned from.
        command: how the run was started.
        figures: what was measured on held-out videos.
    """
    recipe, model = run.recipe, run.recipe.model
    stages = {"model": model, "vision": recipe.vision, "dynamics": recipe.dynamics}
    if recipe.end_to_end is not None:
        stages = {"model": model, "end_to_end": recipe.end_to_end}
    origins = (
        data_line(
            f"{data.folder.name}: {min(data.known(recipe.held_out), recipe.videos)} videos of "
            f"{data.shapes['frames'][0]} frames, {recipe.held_out} more held out",
            data,
        )
        for data in sets
    )
    table = "\n".join(f"| {name} | {value:.5g} |" for name, value in figures.items())
    return f"""# {TITLES[model.prior]}

Predicts pictures of {model.image_size} x {model.image_size} pixels frame by frame; {_decision(recipe)}.
Method: Denton and Fergus 2018, *Stochastic Video Generation with a Learned Prior*.

{data_section(origins)}

{training_section(command, run.seed, stages)}

## Figures on held-out videos
Best of 20 samples. How each is computed: `world_models/svg/validation.py`.

| figure | value |
|---|---|
{table}

{_two_stages(recipe) if recipe.end_to_end is None else _end_to_end(recipe)}"""


def _two_stages(recipe: SVGRecipe) -> str:
    return f"""## Deviations from the paper
Encoder and decoder are trained first, on single frames with the skips of another frame of the same video;
then the recurrent networks on cached embeddings, with true frames as input.
Errors are those of embeddings; pictures do not come into it again.
The predicted embedding is what goes in next; the paper decodes it and encodes the picture again. Predicted
embeddings are changes of the embedding before, normalised to mean 0 and variance 1. Skips are added, not
stacked. No batch normalisation, so that no video of a batch influences another; far smaller convolutions
than DCGAN's; posterior and prior see the frame beside their recurrent state; recurrent layers of
{recipe.model.recurrent.hidden}. Cosine decay of the learning rate, gradient norms clipped at 5; steps and
batches as above. Weights are rounded to half precision.
"""


def _end_to_end(recipe: SVGRecipe) -> str:
    return f"""CPU time: `cpu_seconds` in the run's `log.jsonl`, a line for every process that finished.

## Deviations from the paper
Encoder, recurrent networks and decoder are trained together on the bound of pixels, and generated frames are
encoded again, as in the paper. Predicted embeddings are changes of the embedding before, normalised to mean 0
and variance 1. Skips are added, not stacked. No batch normalisation, so that no video of a batch influences
another; far smaller convolutions than DCGAN's, so that two cores can train them; posterior and prior see the
frame beside their recurrent state; recurrent layers of {recipe.model.recurrent.hidden} (paper: 256). Cosine
decay of the learning rate, gradient norms clipped at 5. Weights are rounded to half precision.
"""


def _decision(recipe: SVGRecipe) -> str:
    model = recipe.model
    parts = [f"{model.latent} standard normal numbers"] if model.latent else []
    parts += [f"{model.actions} numbers of the action"] if model.actions else []
    return f"a decision is {' and '.join(parts)} per frame" if parts else "there is nothing to decide"
