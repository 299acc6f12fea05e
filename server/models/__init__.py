"""What is loaded: the service, its warm-up, reloading."""
