"""Distillation as the verb knows it."""

from world_models.distillation.recipe import DistillationRun
from world_models.distillation.run import distil
from world_models.training.method import Refinement

DISTILLATION = Refinement(
    runs={"robust": ("a finished KeyIn or Struct-VRNN that stands changed worlds", DistillationRun())},
    train=distil,
)
