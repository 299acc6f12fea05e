"""The card of an action classifier."""

from collections.abc import Mapping

from world_models.action_recognition.labelled_features import Labelled
from world_models.action_recognition.recipe import ActionRun
from world_models.training.card import data_section, training_section


def card_text(
    run: ActionRun, parts: Mapping[str, Labelled], command: str, correct: Mapping[str, float]
) -> str:
    """What the classifier is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        parts: the set that it learned from, ``training``, and others.
        command: how the run was started.
        correct: share of each part's labels that it finds.
    """
    known = parts["training"]
    rows = "\n".join(f"| {name} | {share:.3f} | {len(parts[name])} |" for name, share in correct.items())
    _, frames, features = known.features.shape
    return f"""# Action classifier

Tells {len(known.classes)} actions apart in sequences of keypoints: {", ".join(known.classes)}.
Method: Minderer et al. 2019, *Unsupervised Learning of Object Structure and Dynamics from Videos*, S2.2.

{data_section([f"`{run.features}`: {features} features of {frames} frames."])}

{training_section(command, run.seed, run.recipe)}

## Accuracy
| sequences | correct | n |
|---|---|---|
{rows}

## Deviations from the paper
Features are scaled to mean 0 and variance 1. The learning rate decays to zero along a cosine, gradient norms
are clipped at 5. Weights are rounded to half precision.
"""
