"""Picture files of every kind, thousands of damaged ones: a reply or a refusal, soon, and no memory kept."""

import base64
import io
import os
import random
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw, PngImagePlugin

from server.app import create_app
from server.models.service import ModelService

# As the server does.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

COUNT = int(os.environ.get("WAYMARK_FUZZ_PICTURES", "5000"))
"""Damaged files; ``make fuzz`` tries more."""
SIZE = 64
GROWTH = 64 * 2**20
SECONDS = 2.0
"""Of computing for one picture, however busy the machine is with other things."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def scene(mode: str = "RGB", size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    picture = Image.new("RGB", size, "saddlebrown")
    ImageDraw.Draw(picture).ellipse((20, 20, 30, 30), fill="magenta")
    return picture.convert(mode)


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(
    width: int = SIZE,
    height: int = SIZE,
    depth: int = 8,
    colour: int = 2,
    method: bytes = b"\0\0\0",
    rows: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """A PNG put together by hand, so that it can contradict itself; ``extra`` comes before the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 3)
    line = b"\0" + bytes((SIZE * channels * depth + 7) // 8)
    pixels = zlib.compress(line * SIZE if rows is None else rows)
    head = struct.pack(">IIBB", width, height, depth, colour) + method
    return SIGNATURE + chunk(b"IHDR", head) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def good_pictures() -> Iterator[tuple[str, bytes]]:
    """What is to be read."""
    yield "png", saved(scene(), "PNG")
    for mode in ("1", "L", "P"):
        yield f"png-{mode}", saved(scene(mode), "PNG")
    yield "png-opaque-RGBA", saved(scene("RGBA"), "PNG")
    yield "png-opaque-LA", saved(scene("LA"), "PNG")
    yield "png-16-colours", saved(scene().quantize(16), "PNG", bits=4)
    yield "png-2-bits", png(depth=2, colour=0)
    yield "png-text", saved(scene(), "PNG", pnginfo=texts())
    yield "png-profile", saved(scene(), "PNG", icc_profile=b"x" * 500)
    yield "png-exif", saved(scene(), "PNG", exif=rotated())
    yield "png-gamma", png(extra=chunk(b"gAMA", struct.pack(">I", 45455)))
    yield "jpeg", saved(scene(), "JPEG")
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"jpeg-{mode}", saved(scene(mode), "JPEG")
    yield "jpeg-progressive", saved(scene(), "JPEG", progressive=True, quality=30)
    yield "jpeg-whole-colours", saved(scene(), "JPEG", subsampling=0, quality=100, optimize=True)
    yield "jpeg-exif", saved(scene(), "JPEG", exif=rotated())
    yield "jpeg-comment", saved(scene(), "JPEG", comment=b"a" * 60_000)
    yield "jpeg-restarts", saved(scene(), "JPEG", restart_marker_blocks=1)


def odd_pictures() -> Iterator[tuple[str, bytes]]:
    """What contradicts itself, so that it is nobody's fault either way."""
    yield "png-no-palette", png(colour=3)
    yield "png-short-palette", png(colour=3, extra=chunk(b"PLTE", b"x"))
    yield "png-bomb", png(rows=bytes(50_000_000))
    yield "png-critical-unknown", png(extra=chunk(b"ABCD", b"x"))
    yield "png-no-end", png()[:-12]
    yield "png-many-texts", png(extra=chunk(b"tEXt", b"a\0" + b"b" * 1000) * 1500)
    yield "jpeg-many-scans", many_scans()


def bad_pictures() -> Iterator[tuple[str, bytes]]:
    """What is to be refused."""
    for mode in ("RGBA", "LA"):
        clear = scene(mode)
        clear.putalpha(100)
        yield f"png-clear-{mode}", saved(clear, "PNG")
    yield "png-clear-colour", png(extra=chunk(b"tRNS", bytes(6)))
    yield "png-clear-palette", png(colour=3, extra=chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0"))
    yield "png-16-bits", saved(Image.new("I;16", (SIZE, SIZE), 40_000), "PNG")
    yield "png-16-bits-colour", png(depth=16)
    yield "png-animated", saved(scene(), "PNG", save_all=True, append_images=[scene("L").convert("RGB")])
    yield "png-interlaced-badly", png(method=b"\0\0\1")
    for format in (
        "GIF",
        "BMP",
        "TIFF",
        "WEBP",
        "ICO",
        "PPM",
        "TGA",
        "PCX",
        "PDF",
        "SGI",
        "DDS",
        "JPEG2000",
    ):
        yield format, saved(scene(), format)
    yield "eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(%pipe%touch x) (w) file\n"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>"
    yield "mpo", saved(scene(), "MPO", save_all=True, append_images=[scene()])
    yield from bad_pngs()
    yield "jpeg-half", saved(scene(), "JPEG")[:400]
    yield "jpeg-start", b"\xff\xd8\xff"
    yield "jpeg-65535", wide_jpeg(65_535)
    yield "jpeg-0", wide_jpeg(0)
    yield "jpeg-endless-markers", b"\xff\xd8" + b"\xff" * 100_000
    yield "empty", b""
    yield "text", b"picture"
    yield "rubbish", random.Random(0).randbytes(5000)


def bad_pngs() -> Iterator[tuple[str, bytes]]:
    """PNG files that are none."""
    for width, height in (
        (0, 0),
        (64, 0),
        (1, 1),
        (63, 64),
        (2**31 - 1, 2**31 - 1),
        (2**32 - 1, 64),
        (30_000, 30_000),
    ):
        yield f"png-{width}x{height}", png(width, height)
    for depth, colour in ((3, 2), (0, 2), (255, 2), (8, 7), (8, 1), (1, 6)):
        yield f"png-depth-{depth}-colour-{colour}", png(depth=depth, colour=colour)
    yield "png-few-rows", png(rows=bytes(100))
    yield "png-text-bomb", png(extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000))))
    yield (
        "png-international-text-bomb",
        png(extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(50_000_000)))),
    )
    yield "png-profile-bomb", png(extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000))))
    yield "png-bad-crc", png(extra=chunk(b"gAMA", b"\0\0\0\1", crc=0))
    yield "png-bad-name", png(extra=chunk(b"\0\1\2\3", b"x"))
    yield "png-endless-chunk", png()[:33] + b"\xff\xff\xff\xffIDAT"
    yield "png-empty", SIGNATURE
    yield "png-signature-twice", SIGNATURE + png()
    yield "png-rubbish-pixels", SIGNATURE + chunk(b"IHDR", png()[16:29]) + chunk(b"IDAT", b"rubbish")


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b" * 1000, zip=True)
    info.add_itxt("c", "d" * 1000, "en", "e", zip=True)
    return info


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def wide_jpeg(side: int) -> bytes:
    data = bytearray(saved(scene(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated as often as a body allows."""
    data = saved(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


def mutated(data: bytes, other: bytes, generator: random.Random) -> bytes:
    """A file with some bytes changed, lost or added, or with a part of another one."""
    content = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 8))):
        start = generator.randrange(len(content) + 1)
        length = generator.choice((1, 1, 1, 2, 4, 32))
        match generator.randrange(6):
            case 0 | 1:
                content[start : start + length] = generator.randbytes(min(length, len(content) - start))
            case 2:
                del content[start : start + length]
            case 3:
                content[start:start] = generator.randbytes(length)
            case 4:
                from_other = generator.randrange(len(other) + 1)
                content[start : start + 4 * length] = other[from_other : from_other + 4 * length]
            case 5:
                content[start : start + 4] = generator.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
                )
    return bytes(content)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def body(data: bytes) -> dict[str, Any]:
    return {"model": "tiny-push", "frames": [base64.b64encode(data).decode()]}


@pytest.mark.parametrize(
    ("pictures", "statuses"),
    [(good_pictures, {200}), (odd_pictures, {200, 422}), (bad_pictures, {422})],
    ids=["good", "odd", "bad"],
)
def test_pictures_of_every_kind(world_http: TestClient, pictures: Any, statuses: set[int]) -> None:
    for name, data in pictures():
        begun = time.process_time()
        reply = world_http.post("/v1/keypoints", json=body(data))
        assert reply.status_code in statuses, (name, reply.text[:300])
        assert time.process_time() - begun < SECONDS, name
        if reply.status_code == 422:
            assert reply.json()["type"] == "urn:waymark:problem:invalid-picture"


async def fuzz(app: FastAPI) -> None:
    generator = random.Random(0)
    files = [data for pictures in (good_pictures, odd_pictures, bad_pictures) for _, data in pictures()]
    # Large ones are slow to send, not to read.
    files = [data for data in files if len(data) < 70_000]
    assert len(files) >= 60
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    memory = 0
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for index in range(COUNT):
            data = mutated(generator.choice(files), generator.choice(files), generator)
            begun = time.process_time()
            reply = await client.post("/v1/keypoints", json=body(data))
            seconds = time.process_time() - begun
            assert reply.status_code in {200, 422}, (reply.text, base64.b64encode(data))
            assert seconds < SECONDS, (seconds, base64.b64encode(data))
            if index == COUNT // 20:
                memory = resident()
    assert resident() - memory <= GROWTH


def test_damaged_pictures(worlds: ModelService) -> None:
    anyio.run(fuzz, create_app(worlds.settings, worlds))
