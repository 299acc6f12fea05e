"""What is wanted in the DM Control tasks: reward, or what a goal picture shows."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from world_models.interface import Future


class Return:
    """Minus the sum of the rewards on the way; the first feature is the reward on arriving at a step.

    There is nothing to compare with: of a goal picture only the number of rows counts.
    """

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 0"]:
        """Nothing."""
        return goal.new_zeros(len(goal), 0)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B 0"]
    ) -> Float[Tensor, "B"]:
        """Minus the return over the horizon."""
        return -future.features[..., 0].sum(1)


class KeypointDistance:
    """Mean squared distance of keypoints from those of the goal picture, coordinates in -1..1.

    A keypoint counts by its scale in the goal picture: one of little scale may be anywhere. Features are
    (x, y, scale) of every keypoint in turn.
    """

    def __init__(
        self,
        embed: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]],
        steps: int = 1,
        weights: Float[Tensor, "K"] | None = None,
    ) -> None:
        """``embed`` finds keypoints in pictures; ``steps`` is the number of last steps that are compared;
        ``weights`` says how much each keypoint counts besides.

        Raises:
            ValueError: ``steps`` is not positive, or a weight is negative.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if weights is not None and not bool((weights >= 0).all()):
            raise ValueError("weights must not be negative")
        self.embed, self.steps, self.weights = embed, steps, weights

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Keypoints of the goal pictures."""
        return self.embed(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B F"]
    ) -> Float[Tensor, "B"]:
        """Weighted mean over keypoints of squared distances, averaged over the last steps."""
        wanted = target.unflatten(-1, (-1, 3))[:, None]
        found = future.features[:, -self.steps :].unflatten(-1, (-1, 3))
        counts = wanted[..., 2] if self.weights is None else wanted[..., 2] * self.weights
        squares = (found[..., :2] - wanted[..., :2]).square().sum(-1)
        return ((counts * squares).sum(-1) / counts.sum(-1)).mean(1)
