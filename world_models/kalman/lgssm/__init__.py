"""Linear Gaussian state-space models: filter, smoother, likelihood, mixture of starts, learned law."""
