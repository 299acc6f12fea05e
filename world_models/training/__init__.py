"""How models are trained: the loop, a run and its folder, the card."""
