"""Tracking, diversity and pictures of the Struct-VRNN and its other arms."""
