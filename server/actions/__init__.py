"""The next action: what travels, what the engine does, the endpoint."""
