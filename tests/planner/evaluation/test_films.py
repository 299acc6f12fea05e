from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from planner.episode import Outcome
from planner.evaluation import films
from planner.evaluation.films import FRAME_COLOUR, GAP, MARGIN, Strip, compose

SIDE = 64
LARGE, SMALL = 4 * SIDE, 2 * SIDE


def picture(value: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, dtype=np.uint8)


def middles(shown: np.ndarray) -> list[int]:
    """Grey value in the middle of every place of the strip."""
    columns = range(LARGE + MARGIN + SMALL // 2, shown.shape[1], SMALL + MARGIN)
    return [int(shown[LARGE // 2, column, 0]) for column in columns]


def framed(shown: np.ndarray) -> list[bool]:
    """For every place of the strip, whether a frame is round it."""
    columns = range(LARGE + MARGIN - GAP, shown.shape[1] - SMALL, SMALL + MARGIN)
    return [tuple(shown[LARGE // 2, column]) == FRAME_COLOUR for column in columns]


def test_subgoals_stand_beside_the_frame_and_the_pursued_one_is_framed():
    shown = compose(picture(100), Strip([picture(10), picture(20), picture(200)], 1), places=4)
    assert shown.shape[0] == LARGE and shown.shape[0] % 16 == shown.shape[1] % 16 == 0
    assert middles(shown) == [10, 20, 200, 255]
    assert framed(shown) == [False, True, False, False]
    assert (shown[:, :LARGE] == 125).all(), "a quarter of the goal is seen through"


def test_frames_without_a_goal_are_only_enlarged():
    shown = compose(picture(100), Strip([]), places=0)
    assert shown.shape == (LARGE, LARGE, 3) and (shown == 100).all()


def test_a_film_has_a_frame_per_picture_and_changes_strips_with_the_plan(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(films, "compose", lambda *args: shown.append(compose(*args)) or shown[-1])
    outcome = Outcome(frames=[picture(value) for value in (60, 70, 80, 90)], measures=[{"distance": 1.0}] * 4)
    outcome.strips = [[picture(10), picture(20), picture(200)], [picture(30), picture(200)]]
    outcome.pursued = [(0, 0), (0, 1), (1, 0)]
    path = tmp_path / "film" / "e.mp4"
    films.film(outcome, Strip([picture(200)]), path)
    assert [middles(frame) for frame in shown] == [[10, 20, 200]] * 2 + [[30, 200, 255]] * 2
    assert [framed(frame).index(True) for frame in shown] == [0, 1, 0, 0]
    assert imageio_ffmpeg.count_frames_and_secs(str(path))[0] == 4


def test_a_film_that_was_cut_short_does_not_count_as_filmed(tmp_path, monkeypatch):
    def write(path, *args, **kwargs):
        Path(path).write_bytes(b"begun")
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr(imageio_ffmpeg, "write_frames", write)
    with pytest.raises(KeyboardInterrupt):
        films.video([picture(60)], [Strip([])], tmp_path / "e.mp4")
    assert not [*tmp_path.iterdir()]


def test_an_episode_that_never_began_is_filmed_beside_its_goal(tmp_path):
    outcome = Outcome(frames=[picture(60)], measures=[{"distance": 1.0}])
    films.film(outcome, Strip([picture(200)]), tmp_path / "e.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "e.mp4"))[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["e.mp4"]
