"""Searching: cross-entropy method, roll-outs, costs, both levels. Knows no concrete model and no world."""
