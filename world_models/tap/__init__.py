"""TAP: bottlenecks between start and goal, whenever they come (Jayaraman et al. 2019)."""
