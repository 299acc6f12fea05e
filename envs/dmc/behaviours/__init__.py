"""Scripted behaviours of DM Control's humanoid: a labelled set of an articulated body."""
