"""BAIR records as their owners have them: written here by the rules of TFRecord and protobuf."""

import struct
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from envs import collect
from envs.owned.bair import collect_bair
from envs.owned.shards import Summary
from envs.owned.tf_records import parse_example, read_records
from world_models.data import DataError, SequenceDataset, read_attributes


def varint(value):
    low = value & 0x7F
    return bytes([low | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([low])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features):
    """Features are bytes, or floats, which are packed; a tuple of floats is not packed."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        elif isinstance(value, tuple):
            feature = field(2, b"".join(varint(1 << 3 | 5) + struct.pack("<f", x) for x in value))
        else:
            feature = field(2, field(1, struct.pack(f"<{len(value)}f", *value)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def save_records(path, *messages):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<QI", len(m), 0) + m + bytes(4) for m in messages))


def recording(frames, grey, packed=True):
    """Frame t is as grey as grey + t; action and position of frame t are t."""
    features = {}
    for t in range(frames):
        features[f"{t}/image_main/encoded"] = bytes(3 * 64**2)
        features[f"{t}/image_aux1/encoded"] = bytes([grey + t]) * (3 * 64**2)
        features[f"{t}/action"] = [float(t)] * 4 if packed else (float(t),) * 4
        features[f"{t}/endeffector_pos"] = [t + 0.25, 0.5, 0.75]
    return features


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "softmotion30_44k"
    train = [example(recording(12, 10)), example(recording(12, 100, packed=False))]
    save_records(folder / "train" / "traj_0_to_1.tfrecords", *train)
    save_records(folder / "test" / "traj_0_to_0.tfrecords", example(recording(12, 200)))
    return folder


def test_records_become_sequences_with_actions_test_files_last(source, tmp_path):
    out = tmp_path / "out"
    assert collect_bair(source.parent, out, 6) == Summary(sequences=6, test=2, left_out=0)
    data = SequenceDataset(out)
    assert data[:].frames[:, 0, 5, 5].tolist() == [[grey] * 3 for grey in (10, 16, 100, 106, 200, 206)]
    assert data[1].actions[0].tolist() == [[t] * 4 for t in (6.0, 7.0, 8.0, 9.0, 10.0)]
    assert np.array_equal(data[1].actions, data[3].actions)
    assert data[0].states[0, :, 0].tolist() == [0.25, 1.25, 2.25, 3.25, 4.25, 5.25]
    assert [read_attributes(path)["split"] for path in data.paths] == ["train", "test"]
    assert read_attributes(data.paths[0])["observation"] == 3


def test_pictures_may_be_compressed(source, tmp_path):
    buffer, features = BytesIO(), recording(3, 1)
    Image.fromarray(np.full((64, 64, 3), 77, np.uint8)).save(buffer, "png")
    save_records(
        source / "train" / "traj_0_to_1.tfrecords",
        example(features | {"1/image_aux1/encoded": buffer.getvalue()}),
    )
    collect_bair(source, tmp_path / "out", 3)
    assert SequenceDataset(tmp_path / "out")[0].frames[0, :, 9, 9, 2].tolist() == [1, 77, 3]


def test_whole_numbers_and_unknown_fields_are_passed_over():
    message = example({"a": [1.0, -2.5], "b": b"text"})
    whole = field(1, field(1, b"c") + field(2, field(3, field(1, varint(300)))))
    extra = varint(9 << 3) + varint(1 << 40) + varint(10 << 3 | 1) + bytes(8) + varint(11 << 3 | 5) + bytes(4)
    assert parse_example(message + extra + field(1, whole)) == {"a": [1.0, -2.5], "b": [b"text"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"2/action": [1.0, 2.0]}, "record 0 of .*: 2/action must be 4 numbers"),
        ({"0/image_aux1/encoded": b"nothing"}, "record 0 of .*: 0/image_aux1/encoded is no picture"),
        ({"0/endeffector_pos": b"abc"}, "0/endeffector_pos must be 3 numbers"),
        ({"30/image_aux1/encoded": b""}, "12/image_aux1/encoded is no picture"),
    ],
)
def test_malformed_records_are_named(source, tmp_path, changes, message):
    save_records(source / "train" / "traj_0_to_1.tfrecords", example(recording(12, 0) | changes))
    with pytest.raises(DataError, match=message):
        collect_bair(source, tmp_path / "out", 5)


def test_files_of_another_kind_are_refused(source, tmp_path):
    path = source / "train" / "traj_0_to_1.tfrecords"
    whole = path.read_bytes()
    for content, message in (
        (whole[:-3], "is cut off, or no TFRecord file"),
        (b"\x89PNG and so on", "is cut off, or no TFRecord file"),
        (b"", "has no records"),
        (
            struct.pack("<QI", 4, 0) + b"\x07abc" + bytes(4),
            "record 0 of .*: the message is no tf.train.Example",
        ),
        (struct.pack("<QI", 0, 0) + bytes(4), "it has 0 frames, 5 were asked for"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            collect_bair(source, tmp_path / "out", 5)
    with pytest.raises(DataError, match="cannot be read"):
        next(read_records(tmp_path / "none"))
    path.unlink()
    with pytest.raises(DataError, match=r"has no train/\*\.tfrecords"):
        collect_bair(source, tmp_path / "out", 5)


def test_the_command_says_what_was_written(source, tmp_path, monkeypatch, capsys):
    command = ["collect", "bair", "--source", str(source), "--out", str(tmp_path / "out"), "--frames", "12"]
    monkeypatch.setattr(sys, "argv", command)
    collect.main()
    assert "3 sequences in" in (said := capsys.readouterr().out) and "the last 1 are for testing" in said
