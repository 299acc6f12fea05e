import shutil
import sys

import imageio_ffmpeg
import numpy as np
import pytest

from envs import collect
from envs.owned.basketball import collect_basketball
from envs.owned.human36m import SUBJECTS, collect_human36m, name_action
from envs.owned.shards import Summary
from envs.videos.agents import COLORS, COURT
from world_models.data import DataError, SequenceDataset, read_attributes, read_shard

HALF = (0.0, 0.0, 50.0)


def save_pictures(path, frames, first=0, **positions):
    """A recording whose frame t is filled with first + t."""
    image = np.full((frames, 64, 64, 3), 0, np.uint8)
    image += np.arange(first, first + frames, dtype=np.uint8)[:, None, None, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, image=image, **positions)


def save_video(path, seconds):
    """50 frames per second, 96 x 64 pixels: frame t is filled with t, but the sides are white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = imageio_ffmpeg.write_frames(str(path), (96, 64), fps=50, quality=9, macro_block_size=16)
    writer.send(None)
    for t in range(int(50 * seconds)):
        frame = np.full((64, 96, 3), 255, np.uint8)
        frame[:, 16:80] = t
        writer.send(frame.tobytes())
    writer.close()


@pytest.fixture
def human36m(tmp_path):
    """One recording per subject, S1's as a video."""
    source = tmp_path / "h36m"
    for subject in SUBJECTS:
        save_pictures(source / subject / "Walking 1.54138969.npz", 7)
    (source / "S1" / "Walking 1.54138969.npz").unlink()
    save_video(source / "S1" / "Videos" / "WalkingDog.58860488.mp4", 2.0)
    return source


def test_recordings_are_cut_into_windows_test_files_last(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    save_pictures(source / "a_test.npz", 6, first=100, true_object_pos=np.ones((6, 3, 2)))
    save_pictures(source / "b.npz", 14, true_object_pos=np.arange(84.0).reshape(14, 3, 2))
    save_pictures(source / "c.npz", 4, first=50, true_object_pos=np.ones((4, 3, 2)))
    assert collect_basketball(source, out, 5, HALF) == Summary(sequences=3, test=1, left_out=0)
    data = SequenceDataset(out)
    assert data[:].frames[:, :, 5, 5, 1].tolist() == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [100, 101, 102, 103, 104],
    ]
    assert data.shapes["actions"] == (4, 0) and not data[:].keyframes.any()
    assert data[1].states[0, :, 0].tolist() == [30, 36, 42, 48, 54]
    attributes = read_attributes(data.paths[0])
    assert attributes["bodies"] == "object-1,object-2,object-3" and attributes["observation"] == 0


def test_positions_in_space_are_an_observation_and_none_are_allowed(tmp_path):
    save_pictures(tmp_path / "space" / "a.npz", 5, true_object_pos=np.ones((5, 4, 3)))
    collect_basketball(tmp_path / "space", tmp_path / "one", 5, HALF)
    attributes = read_attributes(tmp_path / "one" / "shard-00000.h5")
    assert (attributes["observation"], attributes["bodies"]) == (12, "")
    save_pictures(tmp_path / "blind" / "a.npz", 5)
    collect_basketball(tmp_path / "blind", tmp_path / "two", 5, HALF)
    assert SequenceDataset(tmp_path / "two").shapes["states"] == (5, 0)


@pytest.mark.parametrize("published", [False, True])
def test_tracks_are_drawn_on_the_court(tmp_path, published):
    players = np.tile([[5.0, 5.0], [45.0, 5.0], [5.0, 45.0], [25.0, 25.0], [45.0, 40.0]], (3, 12, 1, 1))
    ball = np.full((3, 12, 1, 2), 15.0) + 0.5 * np.arange(12)[:, None, None]
    ball[1, 7] = (60.0, 10.0)
    players[2, 0, 0] = np.nan
    defenders = np.full((3, 12, 5, 2), 30.0)
    parts = [ball, players, defenders] if published else [players, ball]
    tracks = np.concatenate(parts, axis=2).reshape(3, 12, -1)
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    if published:
        np.savez(source / "train.npz", data=tracks)
    else:
        np.save(source / "train.npy", tracks)
    assert collect_basketball(source, out, 6, HALF) == Summary(sequences=4, test=0, left_out=2)
    found = read_shard(out / "shard-00000.h5")
    scale = 64 / 50
    expected = [5 * scale - 0.5, 63.5 - 5 * scale]  # the first player stands at the lower left
    np.testing.assert_allclose(found.states[0, 0, :2], expected, rtol=1e-5)
    np.testing.assert_allclose(found.states[1, 2, 10:], [19 * scale - 0.5, 63.5 - 19 * scale], rtol=1e-5)
    assert tuple(found.frames[0, 0, 57, 6].tolist()) == COLORS[0]
    assert tuple(found.frames[0, 0, 25, 38].tolist()) == COURT
    attributes = read_attributes(out / "shard-00000.h5")
    assert attributes["bodies"] == "player-1,player-2,player-3,player-4,player-5,ball"


def test_another_court_shows_another_part(tmp_path):
    tracks = np.full((1, 4, 12), 20.0)
    np.save(tmp_path / "a.npy", tracks)
    collect_basketball(tmp_path, tmp_path / "out", 4, (-20.0, 10.0, 80.0))
    assert read_shard(tmp_path / "out" / "shard-00000.h5").states[0, 0, :2].tolist() == [31.5, 55.5]
    with pytest.raises(DataError, match="another --court"):
        collect_basketball(tmp_path, tmp_path / "none", 4, (0.0, 0.0, 10.0))
    with pytest.raises(DataError, match="greater than 0"):
        collect_basketball(tmp_path, tmp_path / "none", 4, (0.0, 0.0, 0.0))


def test_humans_are_read_from_videos_and_npz_with_their_actions(tmp_path, human36m):
    save_pictures(human36m / "S11" / "Directions.54138969.npz", 7)  # the damaged one
    save_pictures(human36m / "S11" / "_ALL 1.54138969.npz", 7)
    out = tmp_path / "out"
    assert collect_human36m(human36m, out, 3) == Summary(sequences=16, test=4, left_out=0)
    attributes = [read_attributes(path) for path in SequenceDataset(out).paths]
    assert [found["subject"] for found in attributes] == ["S1", "S5", "S6", "S7", "S8", "S9", "S11"]
    assert [found["action"] for found in attributes] == ["WalkDog"] + ["Walking"] * 6
    assert [found["split"] for found in attributes] == ["train"] * 5 + ["test"] * 2
    video = read_shard(out / "shard-00000.h5").frames
    assert video.shape == (4, 3, 64, 64, 3)  # 2 seconds at 6.25 frames per second are 12 frames
    shades = video.reshape(12, -1).mean(1)
    np.testing.assert_allclose(shades, 8 * np.arange(12), atol=4)
    assert video[0, 0].max() < 30  # the sides are cut off


def test_a_rerun_goes_on_where_it_was_interrupted(tmp_path, human36m):
    out = tmp_path / "out"
    shutil.rmtree(human36m / "S1" / "Videos")
    save_pictures(human36m / "S1" / "Eating.npz", 7)
    before = collect_human36m(human36m, out, 3)
    contents = [path.read_bytes() for path in sorted(out.iterdir())]
    stamp = (out / "shard-00000.h5").stat().st_mtime_ns
    (out / "shard-00002.h5").unlink()
    assert collect_human36m(human36m, out, 3) == before
    assert [path.read_bytes() for path in sorted(out.iterdir())] == contents
    assert (out / "shard-00000.h5").stat().st_mtime_ns == stamp
    with pytest.raises(DataError, match="choose another --out"):
        collect_human36m(human36m, out, 4)


def test_file_names_say_the_action(tmp_path):
    names = {"Walking.6.mp4": "Walking", "TakingPhoto 1.6.mp4": "Photo", "SittingDown_2.npz": "SittingDown"}
    assert [name_action(tmp_path / name) for name in names] == list(names.values())
    with pytest.raises(DataError, match="one of Directions, Discussion"):
        name_action(tmp_path / "Juggling.mp4")


def test_missing_files_are_named_with_where_they_belong(tmp_path, human36m):
    with pytest.raises(DataError, match=r"holds no Basketball data: expected are \*.npz files with `image`"):
        collect_basketball(tmp_path / "nowhere", tmp_path / "out", 5, HALF)
    shutil.rmtree(human36m / "S6")
    shutil.rmtree(human36m / "S11")
    with pytest.raises(DataError, match=r"in S6, S11: expected are S1, .* such as S1/Videos/Walking 1.5"):
        collect_human36m(human36m, tmp_path / "out", 5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": np.zeros((5, 32, 32, 3), np.uint8)}, r"must be uint8 \[T, 64, 64, 3\], got uint8 \(5, 32"),
        ({"image": np.zeros((5, 64, 64, 3))}, "got float64"),
        (
            {"image": np.zeros((5, 64, 64, 3), np.uint8), "true_object_pos": np.zeros((4, 2, 2))},
            r"must be \[T, N, 2 or 3\]",
        ),
        ({"image": np.zeros((2, 64, 64, 3), np.uint8)}, "no window of 5 frames is left"),
        ({"video": np.zeros(3)}, "neither `image` nor `data`; it holds video"),
        ({"data": np.zeros((2, 5, 11))}, r"must be floats \[n, T, 12 or 22\]"),
        ({"data": np.array([{}])}, "no readable numpy file"),
    ],
)
def test_malformed_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        collect_basketball(tmp_path, tmp_path / "out", 5, HALF)


def test_files_of_another_kind_are_refused(tmp_path, human36m):
    (tmp_path / "a.npz").write_text("no zip")
    with pytest.raises(DataError, match=r"a\.npz is no readable npz file"):
        collect_basketball(tmp_path, tmp_path / "out", 5, HALF)
    (human36m / "S1" / "Videos" / "Eating.1.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"Eating\.1\.mp4 is no readable video"):
        collect_human36m(human36m, tmp_path / "out", 3)


def test_the_command_says_what_was_written_or_what_is_missing(tmp_path, monkeypatch, capsys):
    save_pictures(tmp_path / "source" / "a.npz", 7)
    save_pictures(tmp_path / "source" / "test.npz", 3)
    command = ["collect", "basketball", "--out", str(tmp_path / "out"), "--frames", "3", "--source"]
    monkeypatch.setattr(sys, "argv", [*command, str(tmp_path / "source")])
    collect.main()
    assert "3 sequences in" in (said := capsys.readouterr().out) and "the last 1 are for testing" in said
    monkeypatch.setattr(sys, "argv", ["collect", "human36m", "--source", str(tmp_path / "source")])
    with pytest.raises(SystemExit, match="S1/Videos/Walking"):
        collect.main()


def test_files_that_macos_puts_beside_others_are_not_read(tmp_path):
    save_pictures(tmp_path / "source" / "train_0.npz", 7)
    (tmp_path / "source" / "._train_0.npz").write_bytes(b"Mac OS X")
    assert collect_basketball(tmp_path / "source", tmp_path / "out", 3, HALF).sequences == 2


def test_data_that_were_changed_are_not_taken_for_those_before(tmp_path):
    save_pictures(tmp_path / "source" / "train_0.npz", 7)
    collect_basketball(tmp_path / "source", tmp_path / "out", 3, HALF)
    save_pictures(tmp_path / "source" / "train_0.npz", 6)
    with pytest.raises(DataError, match=r"files_sha256 .*choose another --out"):
        collect_basketball(tmp_path / "source", tmp_path / "out", 3, HALF)
