"""``python -m server.load``."""

from server.load.run import main

main()
