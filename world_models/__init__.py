"""Learned world models: keyframes (KeyIn) and, below them, what all models share."""
