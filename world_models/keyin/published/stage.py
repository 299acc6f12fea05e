"""How keyframes are discovered: settings of the stages that the paper has and the taught models have not."""

from typing import Literal

from world_models.training.fit import FitConfig, NonNegativeFloat, PositiveFloat


class DiscoveryStage(FitConfig):
    """Algorithm 2 through the frozen interpolator (section 3.2, second stage), without a teacher."""

    beta: PositiveFloat = 0.05
    """Weight of the KL in nats, at the end ..."""
    beta_start: PositiveFloat = 0.05
    """... and at the first step; in between it changes by the same factor at every step."""
    interpolation_weight: NonNegativeFloat = 30.0
    """Weight of the sequence loss, a mean over the N frames, against the keyframe loss; N makes it their sum,
    as in the paper."""
    entropy: NonNegativeFloat = 0.0
    """Nats of the offsets' entropies are rewarded with this weight, which falls linearly to 0 at half of the
    steps; not in the paper. Offsets that are certain early stay where they are."""
    price: NonNegativeFloat = 0.0
    """Cost of a keyframe within the sequence; not in the paper."""
    segments: Literal["soft", "expected"] = "soft"
    """``soft`` is the paper's: frames are mixed, and compared. ``expected`` compares every possible segment
    between true frames, and takes the mean of the errors: the price of a bad time is not mixed away."""

    def beta_at(self, step: int) -> float:
        """Weight of the KL at a step."""
        share = step / max(1, self.steps - 1)
        return float(self.beta_start ** (1.0 - share) * self.beta**share)

    def entropy_at(self, step: int) -> float:
        """Weight of the entropies at a step."""
        return self.entropy * max(0.0, 1.0 - 2.0 * step / self.steps)
