"""Pictures as users have them, and servers of this machine behind a proxy of the environment."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from PIL import Image

from server.client import Client
from server.client.pictures import as_picture, encode_frames
from server.http.pictures import from_base64
from server.settings import Settings

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
CHANNELS_FIRST = np.moveaxis(PICTURE, -1, 0)


@pytest.mark.parametrize(
    "given",
    [
        PICTURE,
        PICTURE[None],
        PICTURE[None, None],
        PICTURE.astype(np.int64),
        PICTURE.tolist(),
        PICTURE / 255,
        (PICTURE / 255).astype(np.float32),
        CHANNELS_FIRST,
        CHANNELS_FIRST[None] / 255,
        torch.from_numpy(PICTURE.copy()),
        torch.from_numpy(CHANNELS_FIRST / 255)[None].float().requires_grad_(),
        Image.fromarray(PICTURE),
        Image.fromarray(PICTURE).convert("RGBA"),
        np.asfortranarray(PICTURE),
    ],
)
def test_a_picture_is_a_picture(given: Any) -> None:
    assert np.array_equal(as_picture(given), PICTURE)


def test_grey_is_a_colour() -> None:
    grey = PICTURE[..., :1]
    for given in (grey, grey[..., 0], np.moveaxis(grey, -1, 0)):
        assert np.array_equal(as_picture(given), np.broadcast_to(grey, PICTURE.shape))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (PICTURE.astype(float), r"floats must be 0 to 1; divide by 255 first, these are 0 to 255"),
        (PICTURE / 255 - 0.5, r"floats must be 0 to 1"),
        (np.full((8, 8, 3), np.nan), "floats must be 0 to 1"),
        (PICTURE.astype(int) - 1, r"integers must be 0 to 255, these are -1 to"),
        (np.zeros((8, 8, 2)), r"the shape \[H, W, 3\] or \[3, H, W\], this has \(8, 8, 2\)"),
        (np.zeros((2, 8, 8, 3)), r"this has \(2, 8, 8, 3\)"),
        (np.zeros(3), r"this has \(3,\)"),
        (np.zeros((8, 8, 3), bool), "not bool"),
        ([["a", "b"]], "not <U1"),
        (np.zeros((8, 8, 4), np.uint8), "partly transparent"),
    ],
)
def test_what_is_no_picture_is_told_what_one_is(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_picture(given)


@pytest.mark.parametrize(
    "given", [[PICTURE, PICTURE], np.stack([PICTURE] * 2), np.stack([PICTURE] * 2)[None] / 255]
)
def test_frames_are_pictures(given: Any) -> None:
    assert [np.array_equal(from_base64(text), PICTURE) for text in encode_frames(given)] == [True, True]


class Proxy(BaseHTTPRequestHandler):
    """Answers everything, and keeps what it was told."""

    told: list[str]

    def do_GET(self) -> None:
        self.told.append(f"{self.path} {self.headers['Authorization']}")
        self.send_error(502)

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Any:
    Proxy.told = []
    server = HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield Proxy
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_hears_nothing_of_a_server_on_this_machine(
    proxy: Any, run_app: Callable[..., Any], host: str
) -> None:
    app = FastAPI()
    app.add_api_route("/readyz", lambda: None)
    with (
        run_app(app, Settings(models=("none",))) as url,
        Client(url.replace("127.0.0.1", host), key="secret") as client,
    ):
        assert client.ready()
    assert proxy.told == []


def test_other_machines_are_asked_through_the_proxy(proxy: Any) -> None:
    with Client("http://elsewhere.invalid") as client:
        assert not client.ready()
    assert proxy.told == ["http://elsewhere.invalid/readyz None"]
