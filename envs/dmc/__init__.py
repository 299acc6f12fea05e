"""Six tasks of the DeepMind Control Suite, seen by one camera."""
