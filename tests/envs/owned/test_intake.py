"""Cutting, splitting and telling data apart, whatever the source."""

import dataclasses

import numpy as np
import pytest

from envs.owned.intake.options import split
from envs.owned.intake.recording import record, starts
from envs.owned.sources.data_sets import Films, Gym, Hdf5, LeRobot, Minari
from envs.owned.sources.episode import Episode, Rows, Step, natural_order, to_steps
from envs.owned.sources.pictures import fit_picture, to_rgb
from world_models.data import DataError

SOURCES = (Films, Hdf5, LeRobot, Minari, Gym)
OTHER = {"size": 96, "fit": "pad", "skip": 2, "frames": 9, "test": 0.5, "max_steps": 3, "seed": 1}
PLACES = {"source", "out", "episodes"}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_option_is_part_of_what_a_shard_is_known_by(kind, tmp_path):
    """All but where data lie, and how many episodes there are: shards name their own."""
    needed = {"env": "A-v0", "episodes": 3} if kind is Gym else {"source": tmp_path}
    standard = kind(**needed)
    for field in dataclasses.fields(kind):
        value = 5 if field.name == "episodes" else OTHER.get(field.name, "other")
        value = tmp_path / "other" if field.name in {"source", "out"} else value
        changed = dataclasses.replace(standard, **{field.name: value})
        assert (changed.identity() == standard.identity()) == (field.name in PLACES)


@pytest.mark.parametrize(
    ("pictures", "frames", "wanted"),
    [(4, 4, [0]), (8, 4, [0, 4]), (9, 4, [0, 4, 5]), (5, 4, [0, 1]), (3, 4, [])],
)
def test_sequences_follow_each_other_and_the_last_ends_with_the_episode(pictures, frames, wanted):
    assert [start for start in starts(pictures, frames) if start >= 0] == wanted


@pytest.mark.parametrize(
    ("count", "share", "training"), [(10, 0.1, 9), (10, 0.0, 10), (3, 0.1, 2), (1, 0.5, 1), (2, 0.99, 1)]
)
def test_both_parts_have_an_episode_where_there_are_two(count, share, training):
    assert split(count, share) == training


def test_names_are_ordered_as_people_count():
    names = ["b", "a10", "a9", "a", "10", "9", "²"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a9", "a10", "b", "²"]


@pytest.mark.parametrize(
    "picture",
    [
        np.full((5, 7), 51, np.uint8),
        np.full((5, 7, 1), 51, np.uint8),
        np.full((1, 5, 7), 51, np.uint8),
        np.full((3, 5, 7), 0.2, np.float32),
        np.full((5, 7, 4), 51 * 257, np.uint16),
    ],
)
def test_pictures_of_every_form_become_colours(picture):
    assert np.array_equal(to_rgb(picture), np.full((5, 7, 3), 51))


@pytest.mark.parametrize(
    "picture",
    [np.zeros((5, 7, 2), np.uint8), np.zeros(5, np.uint8), np.full((5, 7, 3), 1.5), np.zeros((5, 7, 3), int)],
)
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(DataError, match="a picture "):
        to_rgb(picture)


def test_pictures_are_shrunk_by_area():
    """A square of four pixels becomes their mean, but for rounding."""
    picture = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128) % 251
    shrunk = fit_picture(to_rgb(picture.astype(np.uint8)), 64, "crop")[:, :, 0]
    assert np.abs(shrunk - picture.reshape(64, 2, 64, 2).mean((1, 3))).max() <= 1


def test_smaller_pictures_are_enlarged():
    assert (
        fit_picture(np.full((3, 2, 3), 9, np.uint8), 64, "crop").tolist() == np.full((64, 64, 3), 9).tolist()
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (Rows(actions=np.zeros((7, 2))), "actions must have 4 or 5 rows"),
        (Rows(states=np.zeros((4, 2))), "states must have 5 rows"),
        (Rows(rewards=np.zeros((5, 2))), "a reward must be one number"),
        (Rows(actions=np.array(["left"] * 5)), "actions must be numbers"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, message):
    draw = [lambda: np.zeros((8, 8), np.uint8)] * 5
    with pytest.raises(DataError, match=message):
        list(to_steps(draw, 5, rows))
    with pytest.raises(DataError, match="more than the 4 pictures"):
        list(to_steps(draw, 4, Rows()))


def test_steps_that_lack_what_others_have_are_refused(tmp_path):
    def steps():
        for number in range(4):
            yield Step(lambda: np.zeros((8, 8), np.uint8), reward=None if number == 2 else 1.0)

    with pytest.raises(DataError, match="lack an action, a reward or a state"):
        record(Episode("a", steps), Films(source=tmp_path, frames=2))
