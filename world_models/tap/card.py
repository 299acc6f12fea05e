"""The card of a TAP model."""

from world_models.data import SequenceDataset
from world_models.tap.recipe import TapRun
from world_models.training.card import data_section, first_shard, training_section


def card_text(run: TapRun, data: SequenceDataset, command: str, _: None) -> str:
    """What the model is, what it learned from, and how; what it is worth is measured by planning with it.

    Args:
        run: how it was trained.
        data: what it learned from.
        command: how the run was started.
    """
    return f"""# TAP

Predicts pictures between a start and a goal, whenever they come: a baseline for KeyIn. It works on the
embeddings of the autoencoder of `{run.base}` and holds none of its own.
Method: Jayaraman et al. 2019, *Time-Agnostic Prediction*, as the KeyIn paper uses it for planning.

{data_section([f"{len(data)} sequences. First shard: {first_shard(data)}"])}

{training_section(command, run.seed, {"tap": run.recipe.tap})}

## Decisions the papers leave open
Several subgoals come from halving: the middle one first, then those on either side of it. A small latent
with a learned prior decides between several bottlenecks (the side of a wall). A quarter of a segment at
either end is no target, since the ends themselves are safe bets. Goals are pictures with the object at the
goal and the robot at its start, as a planner is given them.
"""
