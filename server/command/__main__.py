"""``python -m server.command``: the same as ``waymark``."""

from server.command.verbs import main

main()
