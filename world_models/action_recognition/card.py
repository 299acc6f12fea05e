"""The card of an action classifier."""

from world_models.action_recognition.labelled_features import Labelled
from world_models.action_recognition.model import ActionClassifier, accuracy
from world_models.action_recognition.recipe import ActionRun


def _card(
    run: ActionRun, command: str, model: ActionClassifier, known: Labelled, tested: Labelled | None
) -> str:
    figures = [("training", known)] + ([("test", tested)] if tested is not None else [])
    rows = "\n".join(f"| {name} | {accuracy(model, part):.3f} | {len(part)} |" for name, part in figures)
    return f"""# Action classifier

Tells {len(known.classes)} actions apart in sequences of keypoints: {", ".join(known.classes)}.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.2.

## Data
`{run.features}`: {known.features.shape[2]} features of {known.features.shape[1]} frames.

## Training
`{command}` (seed {run.seed})

- {run.recipe.model_dump_json()}

## Accuracy
| sequences | correct | n |
|---|---|---|
{rows}

## Deviations from the paper
Features are scaled to mean 0 and variance 1. The learning rate decays to zero along a cosine, gradient norms
are clipped at 5. Weights are rounded to half precision.
"""
