"""Planning, control and serving know no particular world; what does not yet is listed, and the list may only
get shorter.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"\b[Pp]uck|\b[Ff]inger\b|PUSH")

OF_PUSH = {
    "planner/evaluation/figures/positions.py",
    "planner/evaluation/push.py",
    "planner/evaluation/robustness/push.py",
    "planner/evaluation/robustness/shifts.py",
}
"""Files of the world ``push``."""
LEFT = {
    "planner/ablate.py",
    "planner/benchmark.py",
    "planner/curves.py",
    "planner/report.py",
    "server/actions/routes.py",
    "server/actions/schemas.py",
    "server/app.py",
    "server/command/plan.py",
    "server/demo.py",
    "server/environments.py",
    "server/episodes/routes.py",
    "server/episodes/schemas.py",
    "server/episodes/task.py",
    "server/errors.py",
    "server/evaluate.py",
    "server/http/problems.py",
    "server/plans/routes.py",
    "server/plans/schemas.py",
    "server/plans/task.py",
    "server/predictions/models.py",
    "server/scenes/reply.py",
    "server/scenes/routes.py",
    "server/scenes/schemas.py",
}
"""What else names it: the service's pushing endpoints and their words, measurements of the pushing task."""


def test_no_world_is_named_where_any_is_served():
    files = [path for folder in ("planner", "server") for path in (ROOT / folder).rglob("*.py")]
    found = {
        path.relative_to(ROOT).as_posix() for path in files if NAMED.search(path.read_text(encoding="utf-8"))
    }
    assert len(files) > 100
    assert found == OF_PUSH | LEFT


def test_the_core_looks_for_no_colour():
    """Only goals of objects by colour, and the costs they are made of, know how one is found."""
    known = {"planner/goals/objects.py", "planner/goals/planning.py", "planner/search/costs.py"}
    looking = re.compile(r"world_models\.segmenter import")
    core = [ROOT / "planner" / name for name in ("pursuit.py", "episode.py", "queues.py", "subgoals.py")]
    core += [*(ROOT / "planner/search").glob("*.py"), *(ROOT / "planner/goals").glob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in core if looking.search(path.read_text())}
    assert found == known
