"""The card of an ED-LSTM."""

from collections.abc import Mapping, Sequence

from world_models.data import SequenceDataset
from world_models.kalman.ed_lstm.recipe import COUNTS, STAGES, EDLSTMRun, best_stage
from world_models.training.card import data_line, data_section, training_section


def card_text(
    run: EDLSTMRun, data: Sequence[SequenceDataset], command: str, errors: Mapping[str, Sequence[float]]
) -> str:
    """What the model is, what it learned from, how, and how well.

    Args:
        run: how it was trained.
        data: what it learned from, one set per number of balls.
        command: how the run was started.
        errors: of every stage on held-out videos, one per number of balls.
    """
    recipe = run.recipe
    origins = (
        data_line(f"{part.known(recipe.held_out)} videos, {recipe.held_out} more held out", part)
        for part in data
    )
    rows = "\n".join(
        f"| {stage} ({STAGES[stage]}) | {' | '.join(f'{error:.5f}' for error in errors[stage])} |"
        for stage in STAGES
    )
    stages = {name: getattr(recipe, name.replace("-", "_")) for name in ("model", *STAGES)}
    return f"""# ED-LSTM

Predicts the next picture from those before, without a notion of objects: the Kalman model's baseline.
Method: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*, section 3.4.

{data_section(origins)}

{training_section(command, run.seed, stages)}

## Figures on the held-out videos
Frames after the first {recipe.seen}, made from the model's own: negative log-likelihood in nats per pixel,
for {", ".join(map(str, COUNTS))} balls. These weights are {best_stage(errors)}.

| inputs in training | {" | ".join(f"N = {count}" for count in COUNTS)} |
|---|{"---|" * len(COUNTS)}
{rows}

## Deviations from the paper
The second stage feeds the model its own pictures in training as in the test; the paper only has the first.
Fewer steps, larger batches, warm-up and cosine decay of the learning rate, gradient norms clipped at 5. All
numbers of balls are learned by one model. Biases start at 0 but for the forget gates (1) and the pixels
(almost black). Weights are rounded to half precision.
"""
