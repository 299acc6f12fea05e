"""Simulated worlds to look at: scenes and clips."""
