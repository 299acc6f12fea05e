"""Films and folders of pictures become shards, broken ones are named, a second run takes over the first."""

import sys

import numpy as np
import pytest
from films_of_tests import draw, save_film, save_gif, shade
from PIL import Image

from envs import collect
from envs.owned.intake import importer
from envs.owned.sources.data_sets import Films
from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.recipe import StructVRNNRun
from world_models.struct_vrnn.run import train_struct_vrnn


def bring(source, out, **changes):
    collect.collect(Films(source=source, out=out, **{"frames": 4, "test": 0.0, **changes}))
    return SequenceDataset(out)


def shades(data):
    """The shade of every picture, in the middle."""
    return data[:].frames[:, :, 32, 32, 0].astype(int)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Films of all kinds: ten pictures each, but the last one is broken and the one before has three."""
    folder = tmp_path_factory.mktemp("films")
    for number, suffix in enumerate(("mp4", "avi", "MOV", "webm")):
        save_film(folder / f"{number}.{suffix}", 10, 20 * number)
    save_gif(folder / "4.gif", 10, 80)
    save_film(folder / "deep" / "10.mp4", 3, 100)
    (folder / "deep" / "11.mp4").write_bytes((folder / "0.mp4").read_bytes()[:200])
    return folder


def test_films_of_every_kind_come_in_and_a_broken_one_is_named(source, tmp_path, capsys):
    data = bring(source, tmp_path)
    wanted = [[shade(20 * film, first + k) for k in range(4)] for film in range(5) for first in (0, 4, 6)]
    assert np.abs(shades(data) - wanted).max() <= 6
    assert data.shapes["frames"] == (4, 64, 64, 3) and data.shapes["actions"] == (3, 0)
    said = capsys.readouterr().out
    assert "5 episodes came in as 15 sequences" in said and "2 episodes were left out" in said
    assert "deep/10.mp4: it is too short: 3 pictures, --frames asks for 4" in said
    assert "deep/11.mp4: " in said and "is no readable film" in said
    attributes = read_attributes(data.paths[0])
    assert attributes["sequences_of_episodes"] == "3,3,3,3,3"
    assert "deep/11.mp4" in attributes["episodes_out"] and "4.gif" in attributes["episodes_in"]


@pytest.mark.parametrize("suffix", ["gif", "webm"])
def test_a_film_that_was_cut_off_is_not_taken_for_a_short_one(tmp_path, suffix, capsys):
    for name in ("whole", "cut"):
        (save_gif if suffix == "gif" else save_film)(tmp_path / "in" / f"{name}.{suffix}", 30)
    content = (tmp_path / "in" / f"cut.{suffix}").read_bytes()
    (tmp_path / "in" / f"cut.{suffix}").write_bytes(content[: len(content) * 2 // 3])
    assert len(bring(tmp_path / "in", tmp_path / "out", frames=10)) == 3
    assert f"cut.{suffix} is no readable film" in capsys.readouterr().out


def test_a_second_run_takes_over_and_says_the_same(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importer, "EPISODES", 2)
    data = bring(source, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in data.paths}
    contents = [path.read_bytes() for path in data.paths]
    said = capsys.readouterr().out
    assert "2 episodes were left out" in said and len(before) == 3
    data.paths[1].unlink()
    assert len(bring(source, tmp_path)) == 15
    assert capsys.readouterr().out == said
    assert [path.read_bytes() for path in data.paths] == contents
    assert data.paths[0].stat().st_mtime_ns == before[data.paths[0]]
    with pytest.raises(DataError, match=r"skip 1, not with skip 2"):
        bring(source, tmp_path, skip=2)


def test_a_film_that_was_changed_is_not_taken_for_the_one_before(tmp_path):
    save_film(tmp_path / "in" / "a.mp4", 5)
    bring(tmp_path / "in", tmp_path / "out")
    save_film(tmp_path / "in" / "a.mp4", 6)
    with pytest.raises(DataError, match=r"files_sha256 .*choose another --out"):
        bring(tmp_path / "in", tmp_path / "out")


def test_shards_of_other_data_are_not_mixed_in(source, tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "EPISODES", 2)
    bring(source, tmp_path)
    monkeypatch.setattr(importer, "EPISODES", 20)
    with pytest.raises(DataError, match=r"shard-00001\.h5 is of other data; choose another --out"):
        bring(source, tmp_path)


def test_the_last_episodes_are_for_testing(source, tmp_path, capsys):
    data = bring(source, tmp_path, test=0.5)
    splits = [
        (read_attributes(path)["split"], len(read_attributes(path)["episodes_in"])) for path in data.paths
    ]
    assert [split for split, _ in splits] == ["train", "test"]
    assert "the last 6 are for testing" in capsys.readouterr().out
    assert shades(data)[-1][-1] == pytest.approx(shade(80, 9), abs=6)


def test_pictures_are_kept_every_so_often(source, tmp_path):
    data = bring(source, tmp_path, skip=3)
    assert np.abs(shades(data)[0] - [shade(0, k) for k in (0, 3, 6, 9)]).max() <= 6
    assert len(data) == 5


@pytest.mark.parametrize("size", [64, 96, 128])
def test_pictures_are_cropped_or_padded_to_squares(tmp_path, size):
    save_film(tmp_path / "in" / "a.mp4", 4, 100, size=(160, 80))
    cropped = bring(tmp_path / "in", tmp_path / "crop", size=size)[0].frames[0, 0]
    assert cropped.shape == (size, size, 3) and cropped.min() > 90  # the black fifth is outside
    padded = bring(tmp_path / "in", tmp_path / "pad", size=size, fit="pad")[0].frames[0, 0]
    assert padded[: size // 4 - 1].max() == 0 and padded[-size // 4 + 1 :].max() == 0
    assert padded[size // 2, -1, 0] == pytest.approx(100, abs=4) and padded[size // 2, size // 8, 0] < 10


@pytest.mark.parametrize("kind", ["L", "RGB", "I;16", "RGBA", "P"])
def test_folders_of_pictures_are_episodes_in_the_order_of_their_numbers(tmp_path, kind):
    """Odd sizes, and pictures of every kind; numbers have no leading zeros."""
    for folder, first in (("run-2", 10), ("run-10", 50)):
        (tmp_path / "in" / folder).mkdir(parents=True)
        for number in range(11):
            picture = Image.fromarray(draw(number, first, (67, 65))).convert("L")
            if kind == "I;16":
                picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
            elif kind != "L":
                picture = picture.convert(kind)
            picture.save(tmp_path / "in" / folder / f"frame{number}.png")
    data = bring(tmp_path / "in", tmp_path / "out", frames=11)
    assert shades(data).tolist() == [[shade(first, k) for k in range(11)] for first in (10, 50)]


def test_a_broken_picture_costs_its_episode_alone(tmp_path, capsys):
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw(number, 0, (64, 64))).save(tmp_path / "in" / folder / f"{number}.jpg")
    (tmp_path / "in" / "a" / "2.jpg").write_bytes(b"\xff\xd8 no picture")
    assert len(bring(tmp_path / "in", tmp_path / "out")) == 1
    assert "a: 2.jpg: no readable picture" in capsys.readouterr().out


def test_a_model_trains_on_what_came_in(source, tmp_path):
    bring(source, tmp_path / "data", frames=7)
    model = DEBUG.model.model_copy(update={"image_size": 64, "actions": 0})
    recipe = DEBUG.model_copy(update={"model": model})
    train_struct_vrnn(StructVRNNRun(data=tmp_path / "data", out=tmp_path / "run", recipe=recipe), "command")
    assert (tmp_path / "run" / "model").exists()


def test_the_contact_sheet_shows_what_came_in(source, tmp_path):
    bring(source, tmp_path)
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        drawn = np.asarray(sheet.convert("RGB")).astype(int)
    found = {tuple(colour) for colour in drawn.reshape(-1, 3)}
    for wanted in (shade(20, 5), shade(80, 9)):
        assert any(max(abs(channel - wanted) for channel in colour) <= 3 for colour in found)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--skip", "0"], "--skip must be at least 1"),
        (["--frames", "1"], "--frames must be at least 2"),
        (["--test", "1"], "--test must be a share"),
        (["--frames", "99"], r"none of 7 episodes can be used: 0\.mp4: it is too short: 10 pictures"),
        (["--source", "nowhere"], "--source nowhere does not exist"),
        (["--source", "{out}"], r"holds no films: expected are \*\.mp4"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(source, tmp_path, monkeypatch, flags, message):
    flags = [flag.format(out=tmp_path) for flag in flags]
    command = ["collect", "films", "--source", str(source), "--out", str(tmp_path / "out"), *flags]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=message):
        collect.main()


def test_sizes_that_no_model_has_are_refused(source, tmp_path, monkeypatch, capsys):
    command = ["collect", "films", "--source", str(source), "--out", str(tmp_path), "--size", "65"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        collect.main()
    assert end.value.code == 2 and "invalid choice" in capsys.readouterr().err
