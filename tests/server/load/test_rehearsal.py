"""What a rehearsal of losses says, of a client and a cluster that are made up."""

import asyncio
import sys
import time

import pytest

from server.load import rehearsal
from server.load.client import Reply
from server.load.rehearsal import Rehearsal, main


class MadeUpClient:
    """Answers after a while; who is waiting when ``lost`` is set gets no reply."""

    def __init__(self) -> None:
        self.lost = False

    async def send(self, request: bytes, begun: float) -> Reply:
        sent = time.perf_counter()
        before = self.lost
        await asyncio.sleep(0.05)
        status = 0 if self.lost and not before else 200
        return Reply(sent - begun, 0.0, time.perf_counter() - sent, status, False, True, "")


def test_what_was_held_is_told_from_what_failed(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_POLL_SECONDS", 0.01)
    client, counts = MadeUpClient(), iter([2, 1, 1, 2])

    def kill() -> None:
        client.lost = True

    row = rehearsal._loss(
        Rehearsal(clients=3, seconds=1.0), client, lambda n: b"", kill, lambda: next(counts)
    )
    assert 1 <= row["failed"] <= row["held"] <= 3
    assert row["answered"] > 3 and row["refused"] == 0 and row["restored_seconds"] < 1
    assert row["per_second_before"] > 0 < row["per_second_after"]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", ["rehearsal", "--out", str(tmp_path / "rehearsal.json")])
    with pytest.raises(SystemExit, match=r"waymark\[ray\]"):
        main()
