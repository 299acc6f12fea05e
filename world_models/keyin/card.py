"""The card of a KeyIn model."""

from world_models.data import SequenceDataset
from world_models.keyin.figures import Figures
from world_models.keyin.recipe import STAGES, KeyInRecipe, KeyInRun
from world_models.training.card import data_section, first_shard, training_section


def card_text(run: KeyInRun, data: SequenceDataset, command: str, figures: Figures) -> str:
    """What the model is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        data: what it learned from.
        command: how the run was started.
        figures: what was measured on the held-out sequences.
    """
    recipe = run.recipe
    unused = {"surprise"} if recipe.teacher.method != "surprise" else set()
    unused |= {"coder"} if recipe.model.segmentation is None else set()
    used = {name: getattr(recipe, name) for name in STAGES if name not in unused}
    origin = (
        f"{len(data)} sequences of {data.shapes['frames'][0]} pictures; "
        f"the last {recipe.held_out} were held out.",
        f"First shard: {first_shard(data)}",
    )
    table = "\n".join(
        f"| {name} | {'-' if value is None else format(value, 'g')} |" for name, value in figures.items()
    )
    return f"""# KeyIn

Predicts {recipe.model.keyframes} keyframes and their times from one picture; a decision is a vector of
{recipe.model.latent} standard normal numbers per keyframe.
Method: Pertsch et al. 2019, *KeyIn: Discovering Subgoal Structure with Keyframe-based Video Prediction*.

{data_section(origin)}

{training_section(command, run.seed, used)}

## Figures on the held-out sequences
Lengths in pixels; "whole" = exactly one whole object in the decoded picture. How each is computed:
`world_models/keyin/figures.py`.

| figure | value |
|---|---|
{table}

## Deviations from the paper
{_keyframes(recipe)}
{_algorithm_2(recipe)}
Autoencoder trained first and then frozen, with keypoints in its encoder, blobs in its decoder and
colour-rarity weights; losses on embeddings, not pixels; deterministic interpolator that makes all frames of a
segment at once; normalised residual keyframes; small latent (z {recipe.model.latent}, beta
{recipe.predictor.beta:g}); {recipe.model.prior} prior; offsets up to S = {recipe.model.max_offset}; noise of
{recipe.autoencoder.noise:g} on the autoencoder's embeddings; smaller networks, batch
{recipe.predictor.batch}, learning rate {recipe.predictor.learning_rate:g} with cosine decay. Weights are
rounded to half precision.
"""


def _keyframes(recipe: KeyInRecipe) -> str:
    """Where the keyframes come from."""
    if recipe.teacher.method == "constant":
        return f"A baseline: keyframes are {recipe.teacher.constant} frames apart (Jumpy)."
    if recipe.teacher.method == "surprise":
        return "A baseline: keyframes are where SVG-FP on the same embeddings is surprised (Algorithm 3)."
    return (
        "Keyframes of a known sequence are inferred by dynamic programming: the cheapest segmentation\n"
        f"under the frozen interpolator ({recipe.model.segmentation!r}),\n"
        "where the paper learns attention over the sequence (eq. 1). The posterior is given the inferred\n"
        "keyframe and its offset. No labels are used, except that where `delay` is not 0, it was chosen by\n"
        "F1 on 3,000 training sequences."
    )


def _algorithm_2(recipe: KeyInRecipe) -> str:
    if recipe.soft.steps:
        return (
            f"Algorithm 2 only fine-tunes, for {recipe.soft.steps} steps, what the segmentation has taught."
        )
    return "Algorithm 2 (the soft loss) is left out."
