"""How a control model is trained."""

from pathlib import Path
from typing import ClassVar

from world_models.struct_vrnn.control.config import ControlSizes
from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveFloat, PositiveInt, Share
from world_models.training.run import TrainingRun


class ControlRecipe(FitConfig):
    """Sizes, losses and schedule; the learning rate is constant."""

    largest_gradient: ClassVar[float] = 10.0
    fused: ClassVar[bool] = True

    sizes: ControlSizes = ControlSizes()
    steps: PositiveInt = 10_000
    """Updates, those of all rounds together where data is collected in between."""
    batch: PositiveInt = 128
    """Windows."""
    learning_rate: PositiveFloat = 1e-3
    encoder_share: Share = 0.5
    """Share of the learning rate that the encoder learns at."""
    rolled: PositiveInt = 2
    """Steps that the latent is rolled out for."""
    returned: PositiveInt = 3
    """Recorded rewards that a value is told, before target networks tell the rest."""
    fading: Share = 0.7
    """What every further step of the roll-out counts for."""
    following: Share = 0.015
    """How far target networks move toward the value heads with every step."""
    consistency: NonNegativeFloat = 20.0
    reward: NonNegativeFloat = 0.5
    value: NonNegativeFloat = 0.5
    policy: NonNegativeFloat = 0.1
    """Weights of the losses."""
    first_noise: NonNegativeFloat = 0.5
    """Standard deviation of what is added to the policy's actions at first ..."""
    last_noise: NonNegativeFloat = 0.1
    """... and from the end of ``calming`` on."""
    calming: Share = 1 / 3
    """Share of the updates over which the noise falls."""

    @property
    def window(self) -> int:
        """L, actions of a window."""
        return self.rolled + self.returned - 1

    def rate(self, step: int) -> float:
        """The same at every step."""
        return self.learning_rate

    def share(self, parameter: str) -> float:
        """The encoder learns more slowly."""
        return self.encoder_share if parameter.startswith("model.encoder.") else 1.0

    def noise(self, step: int) -> float:
        """Standard deviation of the policy's noise after so many updates."""
        done = step / (self.calming * self.steps) if self.calming else 1.0
        return self.first_noise + (self.last_noise - self.first_noise) * min(1.0, done)


class ControlRun(TrainingRun):
    """One training run on recorded episodes; see :class:`TrainingRun`."""

    task: str
    """The task, such as cartpole-balance."""
    data: Path
    """Folder of its episodes, with rewards; whole ones where possible."""
    detector: str
    """Shipped name or model folder of the Struct-VRNN whose features are read."""
    out: Path
    recipe: ControlRecipe = ControlRecipe()
    """The preset's settings, each of which can be changed."""
