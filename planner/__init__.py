"""Decisions: searching world models for subgoals and for actions, and acting on what is found."""
