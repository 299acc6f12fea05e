"""Work in, results out: one thread per device. Knows neither HTTP nor any kind of model."""
