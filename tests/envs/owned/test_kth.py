"""KTH videos as their owners have them, made small."""

import sys

import imageio_ffmpeg
import numpy as np
import pytest

from envs import collect
from envs.owned import kth
from envs.owned.kth import collect_kth, read_ranges
from envs.owned.shards import Summary
from world_models.data import DataError, SequenceDataset, read_attributes, read_shard


def save_video(path, frames, first=0):
    """160 x 120 pixels: frame t is as grey as first + 8 t, but its left half is black."""
    writer = imageio_ffmpeg.write_frames(str(path), (160, 120), fps=25, quality=9, codec="mpeg4")
    writer.send(None)
    for t in range(frames):
        frame = np.zeros((120, 160, 3), np.uint8)
        frame[:, 80:] = first + 8 * t
        writer.send(frame.tobytes())
    writer.close()


@pytest.fixture
def three(monkeypatch):
    """There are three persons only, the last of them for testing."""
    monkeypatch.setattr(kth, "PERSONS", 3)
    monkeypatch.setattr(kth, "FIRST_TEST_PERSON", 3)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two videos of the first person, one of the others; person 3 runs."""
    folder = tmp_path_factory.mktemp("kth")
    (folder / "boxing").mkdir()
    save_video(folder / "boxing" / "person01_boxing_d1_uncomp.avi", 13, 40)
    content = (folder / "boxing" / "person01_boxing_d1_uncomp.avi").read_bytes()
    for name in ("person01_boxing_d2.avi", "person02_boxing_d1_uncomp.avi"):
        (folder / "boxing" / name).write_bytes(content)
    save_video(folder / "person03_running_d1_uncomp.avi", 9, 100)
    return folder


def test_videos_are_cut_into_windows_by_person_test_persons_last(source, tmp_path, three):
    assert collect_kth(source, tmp_path, 5) == Summary(sequences=7, test=1, left_out=0)
    data = SequenceDataset(tmp_path)
    assert data.shapes["frames"] == (5, 64, 64, 1) and data.shapes["actions"] == (4, 0)
    assert np.abs(data[0].frames[0, :, 32, 48, 0] - np.arange(40.0, 80.0, 8)).max() <= 3
    assert data[1].frames[0, 0, 32, 48, 0] == pytest.approx(80, abs=3)
    assert data[0].frames[0, :, :, :30].max() <= 3  # the whole width is there
    assert data[-1].frames[0, 0, 32, 48, 0] == pytest.approx(100, abs=3)
    first, last = (read_attributes(data.paths[index]) for index in (0, -1))
    assert (first["person"], first["action"], first["split"], first["files"]) == (1, "boxing", "train", 2)
    assert (last["person"], last["action"], last["split"]) == (3, "running", "test")


def test_only_parts_with_a_person_are_used_where_they_are_known(source, tmp_path, three):
    listed = source / "00sequences.txt"
    listed.write_text("A list\n\nperson01_boxing_d1\tframes\t3-7, 9-10, 9-13\n")
    try:
        collect_kth(source, tmp_path / "out", 5)
    finally:
        listed.unlink()
    windows = read_shard(tmp_path / "out" / "shard-00000.h5").frames[:, :, 32, 48, 0].astype(float)
    starts = [56, 104, 40, 80]  # frames 3 and 9 of the first; the second is not in the list
    assert np.abs(windows[:, 0] - starts).max() <= 3
    with pytest.raises(DataError, match=r"cut where seen, .* not with cut everywhere"):
        collect_kth(source, tmp_path / "out", 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [("nothing", "no line such as person01_boxing_d1"), ("person02_walking_d3 frames 9-3", "got person02")],
)
def test_lists_that_say_nothing_are_refused(tmp_path, text, message):
    (tmp_path / "00sequences.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_ranges(tmp_path / "00sequences.txt")


def test_missing_persons_and_broken_videos_are_named(tmp_path):
    (tmp_path / "person01_boxing_d1_uncomp.avi").write_text("no video")
    (tmp_path / "person02_dancing_d1_uncomp.avi").write_text("not an action of KTH")
    with pytest.raises(
        DataError, match=r"no videos of person 2, 3, .* such as person01_boxing_d1_uncomp\.avi"
    ):
        collect_kth(tmp_path, tmp_path / "out", 5)
    for person in range(2, 26):
        (tmp_path / f"person{person:02d}_walking_d4.avi").write_text("no video")
    with pytest.raises(DataError, match=r"person01_boxing_d1_uncomp\.avi is no readable video"):
        collect_kth(tmp_path, tmp_path / "out", 5)


def test_the_command_says_what_was_written(source, tmp_path, three, monkeypatch, capsys):
    command = ["collect", "kth", "--source", str(source), "--out", str(tmp_path), "--frames", "9"]
    monkeypatch.setattr(sys, "argv", command)
    collect.main()
    assert "4 sequences in" in (said := capsys.readouterr().out) and "the last 1 are for testing" in said
