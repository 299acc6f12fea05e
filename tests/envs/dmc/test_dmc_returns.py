"""Returns that are known of the tasks of DM Control."""

import re
from pathlib import Path

from envs.dmc.returns import RETURNS, KnownReturns
from envs.dmc.tasks import TASKS

TABLES = Path(__file__).parents[3] / "planner/README.md"


def test_returns_are_those_that_were_measured():
    rows = re.findall(
        r"^\| (\S+) \| (simulator|random) \| 20 \| ([\d.]+) ±",
        TABLES.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    measured = {(task, arm): float(value) for task, arm, value in rows}
    expected = {
        task: KnownReturns(measured[task, "random"], measured.get((task, "simulator"))) for task in TASKS
    }
    assert dict(RETURNS) == expected
