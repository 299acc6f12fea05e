"""Tasks of several stages, in which order and moment count: other puck, other contact face."""
