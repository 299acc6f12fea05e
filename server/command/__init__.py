"""``waymark``: the verbs of all packages under one name."""
