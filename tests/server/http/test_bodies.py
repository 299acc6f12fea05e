"""Pictures as bytes: exact round trips, every readable form, and no damage that is not told in words."""

import io
import random
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from server.errors import InvalidPicture, InvalidRequest
from server.http.bodies import decode_picture, parse
from server.http.pictures import from_base64, to_base64
from server.plans.requests import read_json
from server.predictions.schemas import PredictionRequest


@given(st.integers(0, 2**32 - 1))
def test_base64_round_trip_is_exact(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    text = to_base64(picture)
    assert np.array_equal(from_base64(text), picture)
    assert to_base64(picture) == text


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_every_opaque_mode_becomes_rgb(picture_file: Callable[..., bytes], mode: str) -> None:
    data = picture_file(mode=mode)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode_picture("start", data, 64), expected)


def test_jpeg_in_cmyk_becomes_rgb(picture_file: Callable[..., bytes]) -> None:
    picture = decode_picture("start", picture_file("JPEG", mode="CMYK"), 64)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def refused() -> dict[str, bytes]:
    grey = Image.new("L", (64, 64), 128)
    bomb = PngImagePlugin.PngInfo()
    bomb.add(b"zTXt", b"a\0\0" + zlib.compress(b"b" * 200_000_000))
    header = encoded(grey)
    enormous = bytearray(header)
    enormous[16:24] = (30_000).to_bytes(4, "big") * 2
    enormous[29:33] = zlib.crc32(enormous[12:29]).to_bytes(4, "big")
    wrong_crc = bytearray(header)
    wrong_crc[-18] ^= 1
    return {
        "is not a PNG or JPEG picture": b"",
        "start is not a PNG": encoded(grey, "TIFF"),
        "not a PNG or JPEG": b"GIF89a" + bytes(100),
        "is 64 x 65 pixels; this model needs 64 x 64": encoded(grey.resize((64, 65))),
        "is 9000 x 9000 pixels": encoded(Image.new("1", (9000, 9000))),
        "has far too many pixels": bytes(enormous),
        "has several frames": encoded(grey, save_all=True, append_images=[grey.rotate(90), grey]),
        "has an unusual pixel format": encoded(Image.new("I;16", (64, 64))),
        "has transparent pixels": encoded(Image.new("RGBA", (64, 64), (1, 2, 3, 254))),
        "is damaged or incomplete": header[:-30],
        "damaged or incomplete and": bytes(wrong_crc),
        "damaged or incomplete and cannot": encoded(grey, pnginfo=bomb),
        "incomplete and cannot be decoded": encoded(grey, "JPEG")[:300],
    }


@pytest.mark.parametrize("side", [128, 96, 1024])
def test_larger_squares_are_shrunk_by_the_mean_over_areas(side: int) -> None:
    corner = Image.new("RGB", (side, side), (200, 100, 0))
    corner.paste((0, 0, 0), (0, 0, side // 2, side // 2))
    seen = decode_picture("start", encoded(corner), 64)
    assert seen.shape == (64, 64, 3)
    assert (seen[:32, :32] == 0).all() and (seen[32:] == (200, 100, 0)).all()
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    twice = small.resize((128, 128), Image.Resampling.NEAREST)
    assert np.array_equal(decode_picture("start", encoded(twice), 64), np.asarray(small))


@pytest.mark.parametrize(("width", "height"), [(63, 63), (1025, 1025), (128, 64)])
def test_other_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidPicture, match=f"is {width} x {height} pixels; this model needs 64 x 64"):
        decode_picture("start", encoded(Image.new("RGB", (width, height))), 64)


@pytest.mark.parametrize(("sentence", "data"), refused().items(), ids=refused())
def test_unusable_picture_is_refused_in_words(sentence: str, data: bytes) -> None:
    with pytest.raises(InvalidPicture, match=sentence):
        decode_picture("start", data, 64)


# Pillow warns of some damage; the server leaves that out of its log.
@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_mutated_files_are_read_or_refused(picture_file: Callable[..., bytes], form: str) -> None:
    rng = random.Random(0)
    original = picture_file(form)
    for _ in range(500):
        data = bytearray(original)
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(rng.choice([60, len(data)]))] = rng.randrange(256)
        try:
            assert decode_picture("start", bytes(data[: rng.choice([len(data), 200])]), 64).shape == (
                64,
                64,
                3,
            )
        except InvalidPicture:
            continue


@given(st.binary())
def test_any_json_body_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_json(data)


def test_json_body_is_read() -> None:
    upload = read_json(b'{"start": "QQ==", "goal": "Qg==", "samples": 9}')
    assert (upload.start, upload.goal, upload.options.samples) == (b"A", b"B", 9)
    assert upload.options.seed is None and upload.options.model is None


def fields(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":1' % number for number in range(count)) + b"}"


def edited(*edits: bytes) -> bytes:
    return b'{"frames":["QQ=="],"edits":[' + b",".join(edits) + b"]}"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (fields(1000), "frames"),
        (fields(300_000), "body"),
        (edited(*[b"{}"] * 101), "edits.0.keypoint"),
        (edited(*[b"{}"] * 1_000_000), "body"),
        (edited(fields(100_000)), "body"),
        (edited(*[fields(19)] * 100), "edits.0.keypoint"),
        (b'{"frames":["QQ=="],"past_actions":[' + b",".join([b"[1]"] * 500_000) + b"]}", "body"),
    ],
)
def test_a_body_wrong_in_many_places_is_refused_with_few_errors(body: bytes, where: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(PredictionRequest, body)
    assert refused.value.errors[0].field == where and len(refused.value.errors) <= 20
