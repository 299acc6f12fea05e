"""How well recorded keyframes are found, by every method."""
