"""Closed-loop episodes in simulated worlds, over HTTP."""
