"""SVG on Stochastic Moving Digits."""
