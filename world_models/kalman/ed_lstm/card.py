"""The card of an ED-LSTM."""

import json

from world_models.data import SequenceDataset, read_attributes
from world_models.kalman.ed_lstm.recipe import EDLSTMRun

COUNTS = (1, 2, 3)
"""Numbers of balls, all learned by one model; each has its own folder of videos."""

STAGES = {"teacher-forced": "true pictures as inputs", "free-running": "its own pictures as inputs"}


def _card(
    run: EDLSTMRun,
    data: list[SequenceDataset],
    command: str,
    errors: dict[str, list[float]],
    best: str,
) -> str:
    recipe = run.recipe
    origins = "\n".join(
        f"- {len(part) - recipe.held_out} videos, {recipe.held_out} more held out; first shard "
        f"`{json.dumps(read_attributes(part.paths[0]), sort_keys=True)}`"
        for part in data
    )
    rows = "\n".join(
        f"| {stage} ({STAGES[stage]}) | {' | '.join(f'{error:.5f}' for error in errors[stage])} |"
        for stage in STAGES
    )
    return f"""# ED-LSTM

Predicts the next picture from those before, without a notion of objects: the Kalman model's baseline.
Method: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*, section 3.4.

## Data
{origins}

## Training
`{command}` (seed {run.seed})

- model: {recipe.model.model_dump_json()}
- teacher-forced: {recipe.teacher_forced.model_dump_json()}
- free-running: {recipe.free_running.model_dump_json()}

## Figures on the held-out videos
Frames after the first {recipe.seen}, made from the model's own: negative log-likelihood in nats per pixel,
for {", ".join(map(str, COUNTS))} balls. These weights are {best}.

| inputs in training | {" | ".join(f"N = {count}" for count in COUNTS)} |
|---|{"---|" * len(COUNTS)}
{rows}

## Deviations from the paper
The second stage feeds the model its own pictures in training as in the test; the paper only has the first.
Fewer steps, larger batches, warm-up and cosine decay of the learning rate, gradient norms clipped at 5. All
numbers of balls are learned by one model. Biases start at 0 but for the forget gates (1) and the pixels
(almost black). Weights are rounded to half precision.
"""
