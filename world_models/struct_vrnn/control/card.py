"""The cards of control models."""

from collections.abc import Sequence

from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.recipe import ControlRecipe
from world_models.training.card import data_section, training_section

DEVIATIONS = """## Deviations from TD-MPC2
Small networks (one task, two CPU cores), rectified linear units, two value heads of which targets take the
smaller, two steps of roll-out and three recorded rewards per value. Rewards lie within 0 and the largest, so
bins are quadratic in 0..1 and values are scaled by 1 - discount. Weights are rounded to half precision."""


def card_text(
    config: ControlConfig,
    recipe: ControlRecipe,
    seed: int,
    origin: Sequence[str],
    command: str,
    errors: Sequence[float],
) -> str:
    """What it is, what it learned from (``origin``, line by line), how, and how well it tells rewards
    (``errors``: :func:`~world_models.struct_vrnn.control.training.measure_rewards`).
    """
    curve = ", ".join(f"{error:.3f}" for error in errors)
    return f"""# Control of {config.task}

What to do, what is paid and what it is worth, from the last {config.frames} pictures as a detector sees them.
Method: Hansen, Su and Wang 2024, *TD-MPC2: Scalable, Robust World Models for Continuous Control*.
Detector: the Struct-VRNN with weights `{config.detector}`.

{data_section(origin)}

{training_section(command, seed, recipe)}

## Figures on the training data
Mean squared error of rewards over their variance, after 1, 2, ... imagined actions: {curve}.
Returns are measured by `python -m planner.evaluate dmc`.

{DEVIATIONS}
"""
