"""Any gymnasium environment as a world: acted in as its data were brought in."""
