"""What own data's models can be asked for, without a colour: values that are stored beside their weights."""

from world_models.goals.values import BodyGoal, EmbeddingGoal, KeypointsGoal, StoredGoal, read_goal

__all__ = ["BodyGoal", "EmbeddingGoal", "KeypointsGoal", "StoredGoal", "read_goal"]
