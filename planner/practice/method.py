"""Practice as the verb that trains knows it."""

from planner.practice.recipe import Practice
from planner.practice.run import practise
from world_models.training.method import Refinement

PRACTICE = Refinement(
    runs={"dmc-control": ("a DM Control task from nothing: rounds of recording and learning", Practice())},
    train=practise,
)
