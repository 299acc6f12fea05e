"""What a trained KeyIn can be asked for without a colour: its embedding, calibrated on held-out frames."""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from tqdm import tqdm

from world_models.goals import EmbeddingGoal
from world_models.keyin.model import KeyIn
from world_models.keyin.own.plans import Pairs, draw_pairs, find_plans, straying
from world_models.training.fit import NonNegativeFloat, PositiveInt
from world_models.training.run import Session

Quantile = Annotated[float, Field(gt=0, lt=1)]
SEEN = 2000
"""Frames that cycle errors are measured on."""


class CalibrationStage(BaseModel):
    """How the goal of a model without a colour is calibrated. Weights are chosen on held-out pairs of a start
    and a later frame: those whose plans, composed frame by frame, stray least from the true frames.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reached: Quantile = 0.9
    """Share of the steps between consecutive frames that are shorter than what counts as reached."""
    cycle: Quantile = 0.99
    """Share of the training frames whose embeddings survive a cycle well enough to be plausible."""
    time_weights: tuple[NonNegativeFloat, ...] = (0.03, 0.1, 0.3, 1.0)
    prior_weights: tuple[NonNegativeFloat, ...] = (0.03, 0.1, 0.3, 1.0)
    """Candidates of the cost's weights, in squared units; every pair of them is tried."""
    pairs: PositiveInt = 48
    candidates: PositiveInt = 100
    """Size of the search for each plan; ..."""
    iterations: PositiveInt = 3


def calibrate(
    model: KeyIn,
    known: Float[Tensor, "n frames F"],
    held_out: Float[Tensor, "m frames F"],
    stage: CalibrationStage,
    session: Session,
) -> tuple[EmbeddingGoal, dict[str, float]]:
    """The goal of the model, and figures of its plans on the pairs that its weights were chosen on.

    Raises:
        ValueError: nothing moves in the held-out sequences.
    """
    steps = (held_out[:, 1:].float() - held_out[:, :-1].float()).square().sum(-1).flatten()
    unit = float(steps.median())
    if unit <= 0:
        raise ValueError(
            "half of the held-out frames are like the one before: nothing moves that could be wanted"
        )
    goal = EmbeddingGoal(
        unit=unit,
        reached=float((steps / unit).sqrt().quantile(stage.reached)),
        cycle_limit=cycle_error(model, known, session).quantile(stage.cycle).item(),
    )
    pairs = draw_pairs(held_out, stage.pairs, model.config.context, session)
    choices = [goal.model_copy(update={"match": "last", "prior_weight": min(stage.prior_weights)})]
    choices += [
        goal.model_copy(update={"time_weight": time, "prior_weight": prior})
        for time in stage.time_weights
        for prior in stage.prior_weights
    ]
    best, least = choices[0], {"straying": float("inf")}
    for choice in tqdm(choices, desc=f"{'goal':>12}"):
        found = measure_plans(model, choice, pairs, stage, session)
        session.log(stage="goal", match=choice.match, **found)
        if found["straying"] < least["straying"]:
            best, least = choice, found
    return best, least


def measure_plans(
    model: KeyIn, goal: EmbeddingGoal, pairs: Pairs, stage: CalibrationStage, session: Session
) -> dict[str, float]:
    """How plans for the pairs fare: how far their frames are from the true ones, in units, how many end where
    the goal counts as reached, and how long they take against the recording.
    """
    generator = torch.Generator().manual_seed(session.seed)
    plans = find_plans(model, goal, pairs, stage.candidates, stage.iterations, generator)
    last = goal.distance(plans.last, pairs.goals)
    return {
        "time_weight": goal.time_weight,
        "prior_weight": goal.prior_weight,
        "straying": round(float(straying(goal, plans, pairs).mean()), 4),
        "plans_at_goal": round(float((last < goal.reached).float().mean()), 4),
        "time_against_recording": round(float((plans.ends / pairs.ahead).median()), 4),
    }


@torch.no_grad()
def cycle_error(model: KeyIn, known: Float[Tensor, "n frames F"], session: Session) -> Float[Tensor, " k"]:
    """Squared distances of embeddings from those of the pictures that they decode into."""
    flat = known.flatten(0, 1)
    some = flat[:: max(1, len(flat) // SEEN)].float().to(session.device)
    errors = [(model.embed(model.decode(part)) - part).square().sum(-1) for part in some.split(100)]
    return torch.cat(errors).cpu()
