"""What long jobs share: commands and how they end, worker processes, outputs, what a result depends on."""
