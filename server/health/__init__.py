"""Liveness, readiness, metrics, and the health of the Open Inference Protocol."""
