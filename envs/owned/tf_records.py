"""TFRecord files of ``tf.train.Example`` messages, read without TensorFlow.

A record is its length (uint64), a checksum of it, the message and a checksum of that, which are not checked.
A message is protobuf: fields of a number and a type, of which features use two. An Example (or the context of
a SequenceExample) holds a map from names to a list of byte strings or of floats.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from world_models.data import DataError

Feature = list[bytes] | list[float]

LENGTH, CHECKSUM = 8, 4
VARINT, DELIMITED = 0, 2
FIXED = {1: 8, 5: 4}
"""Types of fields; bytes of those of fixed size."""
FEATURES, ENTRY, KEY, VALUE = 1, 1, 1, 2
BYTES, FLOATS = 1, 2
"""Numbers of fields: of the map in an Example, of its entries, of a feature's lists."""


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file.

    Raises:
        DataError: it cannot be read, is cut off or no TFRecord file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    place = 0
    while place < len(content):
        start = place + LENGTH + CHECKSUM
        stop = start + int.from_bytes(content[place : place + LENGTH], "little")
        if stop + CHECKSUM > len(content):
            raise DataError(f"{path} is cut off, or no TFRecord file")
        yield content[start:stop]
        place = stop + CHECKSUM


def parse_example(message: bytes) -> dict[str, Feature]:
    """The features of an Example by name; those that are neither bytes nor floats are left out.

    Raises:
        DataError: it is no such message.
    """
    features: dict[str, Feature] = {}
    try:
        for entry in _chunks(message, FEATURES):
            for pair in _chunks(entry, ENTRY):
                name = next(_chunks(pair, KEY)).decode()
                for value in _chunks(pair, VALUE):
                    for kind, content in _fields(value):
                        if kind == BYTES and isinstance(content, bytes):
                            features[name] = [*_chunks(content, 1)]
                        elif kind == FLOATS and isinstance(content, bytes):
                            features[name] = _floats(content)
    except (IndexError, StopIteration, ValueError) as error:
        raise DataError("the message is no tf.train.Example") from error
    return features


def _floats(message: bytes) -> list[float]:
    """A list of floats: packed into one field, or a field each."""
    joined = b"".join(content for _, content in _fields(message) if isinstance(content, bytes))
    return np.frombuffer(joined, "<f4").tolist()


def _chunks(message: bytes, number: int) -> Iterator[bytes]:
    """The contents of all fields of a number."""
    return (content for found, content in _fields(message) if found == number and isinstance(content, bytes))


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and contents of a message's fields."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            content, place = _varint(message, place)
            yield number, content
            continue
        if kind == DELIMITED:
            size, place = _varint(message, place)
        elif kind in FIXED:
            size = FIXED[kind]
        else:
            raise ValueError(f"unknown type {kind}")
        if place + size > len(message):
            raise ValueError("a field ends after its message")
        yield number, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits per byte, the lowest first, and the place after it."""
    value, shift = 0, 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place
