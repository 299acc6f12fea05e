"""Keyframes of known sequences: where they come from when nobody labels them."""
