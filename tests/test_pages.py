"""The pages for readers: short front page, links that lead somewhere, tables that can be filled."""

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from server.command.verbs import VERBS
from world_models.train import presets

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / package / "README.md" for package in ("planner", "world_models", "envs", "server")),
    ROOT / "world_models" / "FIDELITY.md",
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def anchors(page: Path) -> set[str]:
    """What a link can point to: headings in lower case, words joined by dashes."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Links to files or headings that are not there."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    assert not dead_links(page)


def test_dead_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A b\n[x](#a-b) [x](page.md#a-b) [x](#b) [x](none.md) [x](page.md#c) [x](https://arxiv.org)\n"
    )
    assert dead_links(page) == ["#b", "none.md", "page.md#c"]


def test_the_front_page_is_two_screens_with_pictures_and_two_tables_of_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert text.count("![") == 3
    tables = ("keyframe-times", "push-400")
    assert re.findall(r"<!-- (\S+) -->", text) == [mark for name in tables for mark in (name, f"/{name}")]


def test_every_table_has_one_place_with_an_end():
    names = Counter(
        name
        for page in PAGES
        for name in re.findall(r"^<!-- (\S+) -->$", page.read_text(encoding="utf-8"), re.M)
    )
    assert set(names.values()) == {1}
    assert all(f"/{name}" in names for name in names if not name.startswith("/"))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    modules = set(re.findall(r"python -m ([a-z_][\w.]*\w)", text))
    assert not {module for module in modules if find_spec(module) is None}
    assert set(re.findall(r"`waymark ([a-z][a-z-]*)", text)) <= VERBS.keys()


def test_presets_that_the_table_of_fidelity_names_exist():
    text = (ROOT / "world_models" / "FIDELITY.md").read_text(encoding="utf-8")
    named = re.findall(r"preset `([a-z0-9-]+)`", text)
    assert named and set(named) <= presets().keys()


def test_rows_of_the_table_of_fidelity_say_where_how_and_whether_trained():
    lines = (ROOT / "world_models" / "FIDELITY.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    elements = [row for row in rows if row[0].strip() != "element of the paper"]
    assert len(elements) > 50
    for row in elements:
        assert len(row) == 4 and "](" in row[1], row[0]
        assert re.match(r"(ships|tabled|data|preset `)", row[3].strip()), row[0]
