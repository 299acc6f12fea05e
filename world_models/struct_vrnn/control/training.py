"""Training a control model, in one go or in rounds with new episodes in between."""

import torch

from world_models.losses import Loss
from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.data import Buffer
from world_models.struct_vrnn.control.learner import Learner
from world_models.struct_vrnn.control.losses import Windows, control_loss
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.control.recipe import ControlRecipe
from world_models.training.fit import fit
from world_models.training.run import Session

STAGE = "control"
"""Name of the checkpoint and of the log's entries."""
MEASURED = 2000
"""Windows that figures are taken from, at most."""


def begin(config: ControlConfig, session: Session) -> Learner:
    """A model that knows nothing yet; its weights are drawn from the session's seed."""
    with session.initial_weights():
        return Learner(config).to(session.device)


def learn(
    learner: Learner,
    buffer: Buffer,
    recipe: ControlRecipe,
    session: Session,
    steps: range | None = None,
    rescale: bool = True,
) -> None:
    """Go through the updates ``steps`` (default: all of the recipe's) on these episodes.

    A round of collecting and learning calls it once, each time with the updates that follow on the round
    before and with all episodes so far. The checkpoint in the session's folder goes along: what is done of
    the updates is not done again, and a run that was killed ends with the same weights, bit for bit (on CPU),
    as one that was not.

    Args:
        learner: what learns; :func:`begin` makes it.
        buffer: what it learns from.
        recipe: how; the policy's noise falls over the whole of ``recipe.steps``.
        session: where the checkpoint is.
        steps: consecutive updates; the first of all is number 0.
        rescale: whether the first of these updates takes means and spreads of the inputs from the buffer.
    """
    steps = range(recipe.steps) if steps is None else steps

    def loss(step: int, generator: torch.Generator) -> Loss:
        if step:
            learner.follow(recipe.following)
        if step == steps.start and rescale:
            learner.model.set_scales(buffer.inputs)
        windows = _moved(buffer.draw(recipe.batch, generator), session.device)
        return control_loss(learner, windows, recipe, recipe.noise(step), generator)

    fit(STAGE, learner, loss, recipe.model_copy(update={"steps": steps.stop}), session)


@torch.no_grad()
def measure_rewards(model: Control, buffer: Buffer) -> list[float]:
    """Mean squared error of rewards after 1, 2, ... actions from an encoded picture, over their variance."""
    rows = torch.linspace(0, len(buffer) - 1, min(MEASURED, len(buffer))).long()
    windows = _moved(buffer.windows(rows), model.bins.device)
    found, _ = model.roll_out(model.encode(windows.inputs[0]), windows.actions.transpose(0, 1))
    errors = (found / model.config.most_reward - windows.rewards.T).square().mean(0)
    return (errors / windows.rewards.var().clamp_min(1e-8)).tolist()


def _moved(windows: Windows, device: torch.device) -> Windows:
    return Windows(*(part.to(device) for part in vars(windows).values()))
