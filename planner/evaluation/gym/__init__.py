"""Planners in any gymnasium environment."""
