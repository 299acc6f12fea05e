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
    (x, y, scale) of every keypoint in turn; bodies that the model knows follow as further keypoints, of a
    large scale.
    """

    def __init__(
        self,
        embed: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]],
        weights: Float[Tensor, "K"] | None = None,
    ) -> None:
        """``embed`` finds keypoints in pictures; ``weights`` says how much each counts besides.

        Raises:
            ValueError: a weight is negative.
        """
        if weights is not None and not bool((weights >= 0).all()):
            raise ValueError("weights must not be negative")
        self.embed, self.weights = embed, weights

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Keypoints of the goal pictures."""
        return self.embed(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B F"]
    ) -> Float[Tensor, "B"]:
        """Weighted mean over keypoints of squared distances at the last step."""
        wanted, found = (features.unflatten(-1, (-1, 3)) for features in (target, future.features[:, -1]))
        counts = wanted[..., 2] if self.weights is None else wanted[..., 2] * self.weights
        squares = (found[..., :2] - wanted[..., :2]).square().sum(-1)
        return (counts * squares).sum(-1) / counts.sum(-1)
