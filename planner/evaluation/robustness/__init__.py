"""What a changed world costs: the same episodes in worlds that differ from those of training."""
