"""What is wrong is said before episodes are run, and in a sentence."""

import sys
from pathlib import Path

import pytest

from planner import evaluate
from planner.evaluation import films
from planner.evaluation.push import Push, evaluate_push

QUICK = ["evaluate", "push", "--planners", "random", "--episodes", "1", "--workers", "1"]


@pytest.fixture
def no_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: object, **kwargs: object) -> None:
        raise AssertionError("an episode is run")

    monkeypatch.setattr("planner.evaluation.journal.run_jobs", run)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "o.png"], r"o\.png would be written twice.*another --out, such as .*o\.json"),
        (["--out", "file/o.json"], r"o\.json cannot be written: .*file is no folder; choose another --out"),
        (["--out", "folder"], "folder is a folder; choose a file for --out"),
        (["--video", "file/films"], "films cannot be written: .*choose another --video"),
        (["--device", "cuda:99"], "device 'cuda:99' is not available here; cpu always is"),
    ],
)
def test_one_sentence_before_the_first_episode(
    arguments: list[str],
    words: str,
    no_episodes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("folder").mkdir()
    monkeypatch.setattr(sys, "argv", [*QUICK, *arguments])
    with pytest.raises(SystemExit, match=words):
        evaluate.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_films_of_other_settings_are_not_taken_over(jobs_here: None, tmp_path: Path) -> None:
    """Two runs of the same names with other seeds keep their films in one folder."""
    runs = [
        Push(
            planners="random", episodes=1, workers=1, seed=n, out=tmp_path / f"{n}.json", video=tmp_path / "v"
        )
        for n in (0, 1)
    ]
    path = tmp_path / "v" / "random-none-000.mp4"
    found = []
    for number in (0, 1, 0, 0):
        evaluate_push(runs[number])
        found.append((path.read_bytes(), path.stat().st_mtime_ns))
    (first, _), (second, _), (third, third_at), (fourth, fourth_at) = found
    assert first == third == fourth != second
    assert third_at == fourth_at
    assert not films.is_film_of(tmp_path / "v" / "missing.mp4", "")
