"""How a world of pushing may differ from the one that models are trained in."""
