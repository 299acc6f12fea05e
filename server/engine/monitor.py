"""Who keeps count of the engine's work."""


class Monitor:
    """Told of what the engine does; this one does not care."""

    def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
        """A batch of roll-outs was computed: ``rows`` of ``slots`` in use, for so many jobs."""

    def finished(
        self, kind: str, who: str, outcome: str, queue_seconds: float, compute_seconds: float
    ) -> None:
        """A job has ended: ok, deadline, drained, cancelled, late, invalid or error."""

    def refused(self, kind: str, reason: str) -> None:
        """A job was not taken: queue-full, predicted-late, quota or shutting-down."""
