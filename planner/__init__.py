"""Decisions: searching world models for subgoals and for actions, and acting on what is found."""

from world_models import __version__ as __version__
from world_models.jobs.workers import follow_parent

follow_parent()
