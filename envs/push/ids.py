"""Ids of the pushing tasks under gymnasium, and their lengths."""

PUSH_STEPS = 60

TIGHT_PUSH_STEPS = 36
"""A demonstration's finger travels 2.9 table units: 29 steps at full speed."""

TWO_PUCKS_STEPS = 75
"""Two pucks one after the other take a quarter longer than one."""

OTHER_STEPS = {"push-tight": TIGHT_PUSH_STEPS, "push-two-pucks": TWO_PUCKS_STEPS}
"""Lengths of the tasks that do not last :data:`PUSH_STEPS`."""

PUSH_ID = "waymark/Push-v0"

PUSH_IDS = {
    "push": PUSH_ID,
    "push-long": "waymark/PushLong-v0",
    "push-two-walls": "waymark/PushTwoWalls-v0",
    "push-tight": "waymark/PushTight-v0",
    "push-corner": "waymark/PushCorner-v0",
    "push-two-pucks": "waymark/PushTwoPucks-v0",
    "push-published": "waymark/PushPublished-v0",
}
"""Environment ids by task; :mod:`envs.push.tasks` says what the tasks are."""

TASKS_BY_ID = {env: task for task, env in PUSH_IDS.items()}
"""Tasks by environment id."""

MANIFESTS = {
    "push": "push-400",
    "push-long": "push-long-200",
    "push-two-walls": "push-two-walls-200",
    "push-tight": "push-tight-200",
    "push-corner": "push-corner-200",
    "push-two-pucks": "push-two-pucks-200",
    "push-published": "push-published-400",
}
"""The frozen episodes of each task."""
