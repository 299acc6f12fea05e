"""Put measured tables into the README: ``python -m planner.report push-400=table2.json bench=bench.json``.

The table called NAME stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` and is replaced whole. Every
file is recognised by what it holds and shown as the module that made it shows it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import tyro

from planner.ablate import markdown as ablation_table
from planner.benchmark import markdown as bench_table
from planner.evaluation.results import markdown_table as evaluation_table
from planner.robustness import markdown as robustness_table
from planner.suite_results import markdown_table as suite_table
from server.load.report import markdown as load_table
from world_models.checkpoint import read_model, write_card
from world_models.files import write_bytes
from world_models.kalman.evaluation.table import markdown_tables as track_tables
from world_models.keyin.keyframes.results import markdown_table as keyframe_table
from world_models.struct_vrnn.evaluation.table import markdown_tables as tracking_tables
from world_models.struct_vrnn.rewards.table import markdown_table as reward_table
from world_models.svg.evaluation.table import markdown_tables as video_tables

CARD_TABLES = MappingProxyType(
    {
        "planner.evaluate": ("closed-loop", "In closed loop"),
        "planner.evaluate dmc": ("control", "Control of the DM Control tasks"),
        "world_models.evaluate rewards": ("rewards", "Rewards of held-out sequences, beside the other arms"),
        "world_models.evaluate struct-vrnn-dmc": ("tracking", "Tracking and pictures, beside the other arms"),
        "world_models.evaluate svg": ("videos", "Prediction of test videos, beside the other models"),
        "world_models.evaluate kalman": ("tracks", "Generation, interpolation and positions of test videos"),
    }
)
"""What a model's card may hold, by the maker of the measurement: name and heading of the table."""


@dataclass(frozen=True)
class Report:
    """Which measurements go where. Tables that are not named stay as they are."""

    tables: tyro.conf.Positional[tuple[str, ...]]
    """NAME=FILE, or NAME=FILE,FILE,... for one table with a first column that names the file."""
    readme: Path = Path("README.md")
    card: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """Model folder whose card gets the first table of every kind that cards hold; may be given repeatedly."""


@dataclass(frozen=True)
class Measurement:
    """What a file holds: the module that made it (a key of :data:`KINDS`) and its JSON content."""

    path: Path
    maker: str
    content: Any


@dataclass(frozen=True)
class Kind:
    """One kind of measurement: what is in each of its rows (or in the whole), and its table."""

    keys: frozenset[str]
    table: Callable[[Any], str]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "planner.evaluate": Kind(
            frozenset({"planner", "servo", "episodes"}), lambda result: evaluation_table(result["rows"])
        ),
        "planner.evaluate dmc": Kind(
            frozenset({"task", "arm", "return_mean"}), lambda result: suite_table(result["rows"])
        ),
        "planner.ablate": Kind(
            frozenset({"planner", "name", "what"}), lambda result: ablation_table(result["rows"])
        ),
        "planner.robustness": Kind(
            frozenset({"planner", "variation"}), lambda result: robustness_table(result["rows"])
        ),
        "world_models.evaluate keyframes": Kind(frozenset({"dataset", "method", "f1"}), keyframe_table),
        "world_models.evaluate rewards": Kind(frozenset({"arm", "task", "mse_over_null"}), reward_table),
        "world_models.evaluate struct-vrnn-dmc": Kind(
            frozenset({"arm", "task", "trajectory_error"}), tracking_tables
        ),
        "world_models.evaluate svg": Kind(frozenset({"scores", "directions", "prior_spread"}), video_tables),
        "world_models.evaluate kalman": Kind(frozenset({"protocol", "results"}), track_tables),
        "planner.benchmark": Kind(frozenset({"machine", "threads", "repeats"}), bench_table),
        "server.load": Kind(frozenset({"overload", "capacity_per_second", "bounds"}), load_table),
    }
)


def read_measurement(path: Path) -> Measurement:
    """Read a file that one of :data:`KINDS` wrote.

    Raises:
        ValueError: there is no such file, it is no JSON, or of no known kind.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    rows = content.get("rows", [content]) if isinstance(content, dict) else content
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        for maker, kind in KINDS.items():
            if all(kind.keys <= row.keys() for row in rows):
                return Measurement(path, maker, content)
    raise ValueError(f"{path} holds no known measurement; known are those of {', '.join(KINDS)}")


def replace_table(text: str, name: str, table: str) -> str:
    """``text`` with the table called ``name`` replaced.

    Raises:
        ValueError: the text has no place for it.
    """
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    if not pattern.search(text):
        places = ", ".join(re.findall(r"<!-- /(\S+) -->", text)) or "none"
        raise ValueError(f"no '<!-- {name} -->' ... '<!-- /{name} -->' to fill; there are: {places}")
    return pattern.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


def make_table(measured: Sequence[Measurement]) -> str:
    """The Markdown table of one or more measurements of a kind, with the episodes it is about.

    Several are joined: a first column says which file (its stem) a row is from.

    Raises:
        ValueError: they cannot be joined, or a file lacks a figure of the table.
    """
    tables = [_single_table(one) for one in measured]
    joined = tables[0] if len(tables) == 1 else _join([one.path for one in measured], tables)
    return joined + _source(measured)


def _single_table(one: Measurement) -> str:
    try:
        return KINDS[one.maker].table(one.content)
    except KeyError as error:
        raise ValueError(f"{one.path} lacks {error}; measure again with `python -m {one.maker}`") from error


def _join(paths: Sequence[Path], tables: Sequence[str]) -> str:
    stems = [path.stem for path in paths]
    files = ", ".join(map(str, paths))
    if len(set(stems)) < len(stems):
        raise ValueError(f"{files} cannot be told apart in one table; give the files different names")
    header, rule, *_ = tables[0].splitlines()
    lines = [f"| file {header}", f"|---{rule}"]
    for stem, table in zip(stems, tables, strict=True):
        other, _, *rows = table.splitlines()
        if other != header:
            raise ValueError(f"{files} cannot be one table: their columns differ")
        lines += [f"| {stem} {row}" for row in rows]
    return "\n".join(lines)


def _source(measured: Sequence[Measurement]) -> str:
    """Which episodes the rows are about, where they are about episodes."""
    manifests = [
        one.content["manifest"]
        for one in measured
        if isinstance(one.content, dict) and "manifest" in one.content
    ]
    named = dict.fromkeys(f"`{m['name']}`, fingerprint `{m['fingerprint'][:16]}`" for m in manifests)
    return f"\n\nEpisodes: {'; '.join(named)}." if named else ""


def _parse(pairs: Sequence[str]) -> dict[str, list[Path]]:
    """Files by table, from ``NAME=FILE,...``."""
    tables: dict[str, list[Path]] = {}
    for pair in pairs:
        name, _, files = pair.partition("=")
        paths = [Path(file) for file in files.split(",") if file]
        if not name or not paths:
            raise ValueError(f"a table is given as NAME=FILE or NAME=FILE,FILE,..., not {pair!r}")
        if name in tables:
            raise ValueError(f"{name} is given twice; join its files: {name}=FILE,FILE")
        tables[name] = paths
    if not tables:
        raise ValueError("say which tables to fill: NAME=FILE, for example push-400=table2.json")
    return tables


def report(settings: Report) -> None:
    """Fill the tables of all measurements given; nothing is written unless all of them can be.

    Raises:
        ValueError: a pair, a file or the place of a table is wrong.
        CheckpointError: a folder of ``card`` is no model folder, or damaged.
    """
    measured = {
        name: [read_measurement(path) for path in paths] for name, paths in _parse(settings.tables).items()
    }
    tables = {name: make_table(files) for name, files in measured.items()}
    if not settings.readme.is_file():
        raise ValueError(f"there is no file {settings.readme}")
    text = settings.readme.read_text(encoding="utf-8")
    for name, table in tables.items():
        text = replace_table(text, name, table)
    cards: dict[Path, str] = {}
    if settings.card:
        kinds = {files[0].maker: tables[name] for name, files in reversed(measured.items())}
        evaluated = {maker: table for maker, table in kinds.items() if maker in CARD_TABLES}
        if not evaluated:
            raise ValueError(f"a card gets tables of {', '.join(CARD_TABLES)}, and none was given")
        cards = {folder: _fill_card(folder, evaluated) for folder in settings.card}
    for folder, card in cards.items():
        write_card(folder, card)
    write_bytes(settings.readme, text.encode())


def _fill_card(folder: Path, tables: Mapping[str, str]) -> str:
    """The card of a model folder with the tables (by maker) in it, at its end where it had none."""
    card = read_model(folder).card
    for maker, table in tables.items():
        name, heading = CARD_TABLES[maker]
        if f"<!-- {name} -->" not in card:
            card = f"{card.rstrip()}\n\n## {heading}\n<!-- {name} -->\n<!-- /{name} -->\n"
        card = replace_table(card, name, table)
    return card


def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Report, prog="python -m planner.report", description=__doc__)
    try:
        report(settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    print(f"written: {', '.join(map(str, [settings.readme, *settings.card]))}")


if __name__ == "__main__":
    main()
