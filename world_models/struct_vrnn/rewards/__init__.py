"""Rewards read off a Struct-VRNN's states."""
