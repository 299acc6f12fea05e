"""The cards of reward heads."""

from typing import Any

from world_models.struct_vrnn.rewards.data import Labels, Reader
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.struct_vrnn.sequences import TaskData
from world_models.training.card import data_section, first_shard, training_section

Result = dict[str, Any]
"""What a head achieves: ``n`` test sequences, and for ``head`` and ``null`` the ``mse``, ``per_step``, the
mean squared error at every frame, ``over_null``, the mean over frames of the error divided by that of the
null model at the frame, its standard error ``se`` over sequences, and ``sequences``, what each of them adds
to that mean."""


def figures(result: Result) -> str:
    """A row of a table: error, error over that of the null model, sequences."""
    head = result["head"]
    return f"{head['mse']:.3g} | {head['over_null']:.3f} | {result['n']}"


def card_text(
    reader: Reader, task: TaskData, labels: Labels, recipe: RewardRecipe, command: str, result: Result
) -> str:
    """What it is, what it learned from, how, and how well."""
    model = f"weights `{reader.world_model}`" if reader.world_model else "none: it reads the true states"
    null = result["null"]["per_step"]
    curve = ", ".join(f"{e / n:.3f}" for e, n in zip(result["head"]["per_step"], null, strict=True))
    origin = (
        f"{labels.learned} sequences train the head, {result['n']} more, new to the world model too, "
        "test it;",
        f"first shard {first_shard(task.sequences)}",
    )
    return f"""# Rewards of {task.name}

Predicts the reward on arriving at every frame from the states of a world model, which never sees rewards.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.3.
World model: {model}.

{data_section(origin)}

{training_section(command, reader.seed, recipe)}

## Figures on the test sequences
| MSE | MSE / null | n |
|---|---|---|
| {figures(result)} |

The null model predicts the mean reward of the training sequences. MSE / null is taken at every frame, of
which the first {recipe.observed} are seen, and then averaged: {curve}.

## Deviations from the paper
Inputs and rewards are scaled to mean 0 and variance 1. {labels.learned} training sequences where the paper
has 8,000; few steps, therefore at a higher rate: cosine decay from {recipe.learning_rate:g} to zero instead
of 1e-3 to 1e-4. A share of {recipe.choosing:g} of the training sequences chooses the state that is kept.
Weights are rounded to half precision.
"""
