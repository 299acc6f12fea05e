"""Put measured tables into the README: ``python -m planner.report --results results.json``.

Each table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` and is replaced whole.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from planner.benchmark import markdown as bench_table
from planner.results import markdown_table
from world_models.checkpoint import write_bytes, write_card


@dataclass(frozen=True)
class Report:
    """Which measurements go where. What is left out keeps its old table."""

    results: Path | None = None
    """JSON of ``planner.evaluate`` on the frozen episodes."""
    fresh: Path | None = None
    """JSON of ``planner.evaluate --fresh``."""
    bench: Path | None = None
    """JSON of ``planner.benchmark``."""
    readme: Path = Path("README.md")
    card: Path | None = None
    """Model folder whose card gets the closed-loop table of ``results``."""


def replace_table(text: str, name: str, table: str) -> str:
    """``text`` with the table called ``name`` replaced.

    Raises:
        ValueError: the text has no place for it.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no '<!-- {name} -->' ... '<!-- /{name} -->' to fill")
    return pattern.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


def _evaluation(result: dict[str, Any]) -> str:
    manifest = result["manifest"]
    source = f"Episodes: `{manifest['name']}`, fingerprint `{manifest['fingerprint'][:16]}`."
    return f"{markdown_table(result['rows'])}\n\n{source}"


def report(settings: Report) -> None:
    """Fill the tables of all measurements given."""
    text = settings.readme.read_text()
    for name, path, make in (
        ("push-400", settings.results, _evaluation),
        ("push-fresh", settings.fresh, _evaluation),
        ("bench", settings.bench, bench_table),
    ):
        if path is not None:
            text = replace_table(text, name, make(json.loads(path.read_text())))
    write_bytes(settings.readme, text.encode())
    if settings.card is not None and settings.results is not None:
        card = (settings.card / "card.md").read_text()
        if "<!-- closed-loop -->" not in card:
            card = card.rstrip() + "\n\n## In closed loop\n<!-- closed-loop -->\n<!-- /closed-loop -->\n"
        table = _evaluation(json.loads(settings.results.read_text()))
        write_card(settings.card, replace_table(card, "closed-loop", table))


def main() -> None:
    """Command line entry point."""
    try:
        report(tyro.cli(Report, prog="python -m planner.report", description=__doc__))
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
