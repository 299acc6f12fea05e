"""The cards of reward heads."""

import json
from typing import Any

from world_models.data import read_attributes
from world_models.struct_vrnn.rewards.data import Labels, Reader
from world_models.struct_vrnn.rewards.recipe import RewardRecipe
from world_models.struct_vrnn.sequences import TaskData

Result = dict[str, Any]
"""What a head achieves: ``n`` test sequences, and for ``head`` and ``null`` the ``mse``, ``per_step``, the
mean squared error at every frame, ``over_null``, the mean over frames of the error divided by that of the
null model at the frame, and its standard error ``se`` over sequences."""


def _figures(result: Result) -> str:
    head = result["head"]
    return f"{head['mse']:.3g} | {head['over_null']:.3f} | {result['n']}"


def _card(
    reader: Reader, task: TaskData, labels: Labels, recipe: RewardRecipe, command: str, result: Result
) -> str:
    """What it is, what it learned from, how, and how well."""
    model = f"weights `{reader.world_model}`" if reader.world_model else "none: it reads the true states"
    null = result["null"]["per_step"]
    curve = ", ".join(f"{e / n:.3f}" for e, n in zip(result["head"]["per_step"], null, strict=True))
    return f"""# Rewards of {task.name}

Predicts the reward on arriving at every frame from the states of a world model, which never sees rewards.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.3.
World model: {model}.

## Data
{labels.learned} sequences train the head, {result["n"]} more, new to the world model too, test it;
first shard `{json.dumps(read_attributes(task.sequences.paths[0]), sort_keys=True)}`

## Training
`{command}` (seed {reader.seed})

- {recipe.model_dump_json()}

## Figures on the test sequences
| MSE | MSE / null | n |
|---|---|---|
| {_figures(result)} |

The null model predicts the mean reward of the training sequences. MSE / null is taken at every frame, of
which the first {recipe.observed} are seen, and then averaged: {curve}.

## Deviations from the paper
Inputs and rewards are scaled to mean 0 and variance 1. {labels.learned} training sequences where the paper
has 8,000; few steps, therefore at a higher rate: cosine decay from {recipe.learning_rate:g} to zero instead
of 1e-3 to 1e-4. A share of {recipe.choosing:g} of the training sequences chooses the state that is kept.
Weights are rounded to half precision.
"""
