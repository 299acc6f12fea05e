"""The card of a TAP model."""

import json

from world_models.data import SequenceDataset, read_attributes
from world_models.tap.recipe import TapRun


def _card(run: TapRun, data: SequenceDataset, command: str) -> str:
    origin = json.dumps(read_attributes(data.paths[0]), sort_keys=True)
    return f"""# TAP

Predicts pictures between a start and a goal, whenever they come: a baseline for KeyIn. It works on the
embeddings of the autoencoder of `{run.base}` and holds none of its own.
Method: Jayaraman et al. 2019, *Time-Agnostic Prediction*, as the KeyIn paper uses it for planning.

## Data
{len(data)} sequences. First shard: `{origin}`

## Training
`{command}` (seed {run.seed})

- tap: {run.recipe.tap.model_dump_json()}

## Decisions the papers leave open
Several subgoals come from halving: the middle one first, then those on either side of it. A small latent
with a learned prior decides between several bottlenecks (the side of a wall). A quarter of a segment at
either end is no target, since the ends themselves are safe bets. Goals are pictures with the object at the
goal and the robot at its start, as a planner is given them.
"""
