"""Ids of the pushing tasks under gymnasium, and their lengths."""

PUSH_STEPS = 60

TIGHT_PUSH_STEPS = 36
"""A demonstration's finger travels 2.9 table units: 29 steps at full speed."""

PUSH_ID = "waymark/Push-v0"

PUSH_IDS = {
    "push": PUSH_ID,
    "push-long": "waymark/PushLong-v0",
    "push-two-walls": "waymark/PushTwoWalls-v0",
    "push-tight": "waymark/PushTight-v0",
}
"""Environment ids by task; :mod:`envs.push.tasks` says what the tasks are."""

MANIFESTS = {
    "push": "push-400",
    "push-long": "push-long-200",
    "push-two-walls": "push-two-walls-200",
    "push-tight": "push-tight-200",
}
"""The frozen episodes of each task."""
