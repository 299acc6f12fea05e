"""Learned world models: keyframes (KeyIn) and, below them, what all models share."""

__version__ = "0.1.0"
