"""Learned world models: keyframes (KeyIn) and, below them, what all models share."""

from world_models.jobs.workers import follow_parent

__version__ = "0.1.0"

follow_parent()
