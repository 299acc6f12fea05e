"""Pushing a puck round walls with a two-link arm, in MuJoCo."""
