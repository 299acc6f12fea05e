"""The same application on many machines: replicas under Ray Serve, which know of each other's plans."""
