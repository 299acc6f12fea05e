"""Put measured tables into the README: ``python -m planner.report push-400=table2.json bench=bench.json``.

The table called NAME stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` and is replaced whole. Every
file says itself who made it and how it reads.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tyro

from envs.push.ids import TASKS_BY_ID
from planner.evaluation.seeds import Trained, seeds_table
from planner.figures import Figure, read_figures, write_figures
from world_models.checkpoint import read_model, write_card
from world_models.files import write_bytes
from world_models.jobs.command import command
from world_models.keyin.keyframes.results import markdown_table as keyframe_table

CARD_TABLES = MappingProxyType(
    {
        "planner.evaluate push": ("closed-loop", "In closed loop"),
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
    """NAME=FILE, or NAME=FILE,FILE,... for one table with a first column that names the file. FILE+FILE+...
    are results of trainings that differ in their seed: rows are about all of them together."""
    readme: Path = Path("README.md")
    card: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """Model folder whose card gets the first table of every kind that cards hold, and for machines what these
    say of this model; may be given repeatedly."""


@dataclass(frozen=True)
class Measurement:
    """What a file holds: the command that made it, its JSON content, and that as a Markdown table."""

    path: Path
    maker: str
    content: Any
    table: str


def read_measurement(path: Path) -> Measurement:
    """Read what a command measured.

    Raises:
        ValueError: there is no such file, it is no JSON, or no measurement that says how it reads.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("table"), str) and "made_by" in content:
        return Measurement(path, str(content["made_by"]), content, content["table"])
    if _are_keyframes(content):
        return Measurement(
            path, "world_models.evaluate keyframes", {"rows": content}, keyframe_table(content)
        )
    raise ValueError(f"{path} is no measurement that says how it reads; measure again")


def _are_keyframes(content: Any) -> bool:
    """Rows of the keyframe table are a list: there is no place for more in it."""
    keys = {"dataset", "method", "f1"}
    return isinstance(content, list) and bool(content) and all(keys <= row.keys() for row in content)


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


def make_table(groups: Sequence[Sequence[Measurement]]) -> str:
    """The Markdown table of one or more measurements of a kind, with the episodes it is about.

    Several are joined: a first column says which file (its stem) a row is from. Where a group has several,
    they are of trainings that differ in their seed, and rows are about all of a group.

    Raises:
        ValueError: they cannot be joined.
    """
    measured = [one for group in groups for one in group]
    if len(measured) > len(groups):
        return _of_seeds(groups) + _source(measured)
    tables = [one.table for one in measured]
    joined = tables[0] if len(tables) == 1 else _join([one.path for one in measured], tables)
    return joined + _source(measured)


def _of_seeds(groups: Sequence[Sequence[Measurement]]) -> str:
    if others := [one.path for group in groups for one in group if one.maker != "planner.evaluate push"]:
        raise ValueError(f"{others[0]} is not of planner.evaluate push: no rows of several seeds")
    return seeds_table([[Trained(one.path, one.content) for one in group] for group in groups])


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


def _parse(pairs: Sequence[str]) -> dict[str, list[list[Path]]]:
    """Files by table and by what is one row together, from ``NAME=FILE+FILE+...,...``."""
    tables: dict[str, list[list[Path]]] = {}
    for pair in pairs:
        name, _, files = pair.partition("=")
        paths = [[Path(file) for file in group.split("+")] for group in files.split(",") if group]
        if not name or not paths or any(path == Path() for group in paths for path in group):
            raise ValueError(
                f"a table is given as NAME=FILE, NAME=FILE,FILE,... or NAME=FILE+FILE,..., not {pair!r}"
            )
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
    read = {
        name: [[read_measurement(path) for path in group] for group in groups]
        for name, groups in _parse(settings.tables).items()
    }
    tables = {name: make_table(groups) for name, groups in read.items()}
    measured = {name: [one for group in groups for one in group] for name, groups in read.items()}
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
        _keep_figures(folder, [file for files in measured.values() for file in files])
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


def _keep_figures(folder: Path, measured: Sequence[Measurement]) -> None:
    """Write what the measurements say of a model beside its card; other tasks stay as they are."""
    weights = read_model(folder).weights_digest
    found = [figure for one in measured for figure in figures_of(one, weights)]
    if found:
        new = {figure.task: figure for figure in reversed(found)}  # the first one counts, as in the card
        write_figures(folder, weights, read_figures(folder, weights) | new)


def figures_of(measured: Measurement, weights_sha256: str) -> Iterator[Figure]:
    """What a measurement of closed loops says of the model with these weights, planner or low level.

    Changed worlds say nothing of what a model is good at, and a number of keyframes that has to be asked for
    nothing of how good its own choice is.
    """
    content = measured.content
    settings = content.get("settings", {}) if isinstance(content, dict) else {}
    if measured.maker == "planner.evaluate dmc" and content["objective"] == "reward":
        for row in content["rows"]:
            used = settings.get(row["task"], {}).get(row["arm"], {})
            if used.get("weights_sha256") == weights_sha256 and _as_it_comes(used):
                yield _figure(row["task"], "return", row["return_mean"], row, content)
    elif measured.maker == "planner.evaluate push":
        task = TASKS_BY_ID[content["env"]]
        for row in content["rows"]:
            used = settings.get(f"{row['planner']}, {row['servo']}", {})
            own = weights_sha256 in (used.get("weights_sha256"), used.get("servo_sha256"))
            if own and _as_it_comes(used):
                yield _figure(task, "success", row["success_rate"], row, content)


def _as_it_comes(used: Mapping[str, Any]) -> bool:
    return not used.get("variation") and used.get("keyframes") is None


def _figure(
    task: str,
    measure: Literal["success", "return"],
    value: float,
    row: Mapping[str, Any],
    content: Mapping[str, Any],
) -> Figure:
    return Figure(
        task=task,
        measure=measure,
        value=round(value, 4),
        episodes=row["episodes"],
        manifest=content["manifest"]["name"],
    )


@command(expected=(RuntimeError,))
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Report, prog="python -m planner.report", description=__doc__)
    report(settings)
    print(f"written: {', '.join(map(str, [settings.readme, *settings.card]))}")


if __name__ == "__main__":
    main()
