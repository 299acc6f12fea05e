"""Planning, control and serving know no particular world, but for the files that are about one."""

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
CONTRACTS = {"server/scenes/reply.py", "server/scenes/schemas.py"}
"""Keys of replies that say where things are on the table of that world: clients read them, so they stay."""


def test_no_world_is_named_where_any_is_served():
    files = [path for folder in ("planner", "server") for path in (ROOT / folder).rglob("*.py")]
    found = {
        path.relative_to(ROOT).as_posix() for path in files if NAMED.search(path.read_text(encoding="utf-8"))
    }
    assert len(files) > 100
    assert found == OF_PUSH | CONTRACTS


def test_the_core_looks_for_no_colour():
    """Only goals of objects by colour, and the costs they are made of, know how one is found."""
    known = {"planner/goals/objects.py", "planner/goals/planning.py", "planner/search/costs.py"}
    looking = re.compile(r"world_models\.segmenter import")
    core = [ROOT / "planner" / name for name in ("pursuit.py", "episode.py", "queues.py", "subgoals.py")]
    core += [*(ROOT / "planner/search").glob("*.py"), *(ROOT / "planner/goals").glob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in core if looking.search(path.read_text())}
    assert found == known


def test_the_service_looks_for_a_colour_in_two_places_alone():
    """Plans say where an object is, if the model looks for one; episodes are of the pushing world."""
    looking = re.compile(r"world_models\.segmenter import")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "server").rglob("*.py")
        if looking.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"server/episodes/routes.py", "server/plans/task.py"}
