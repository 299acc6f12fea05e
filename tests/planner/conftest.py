"""One world of pushing for all tests of a module: making a GL context is the slow part."""

from collections.abc import Iterator

import pytest

from envs.push.world import PushWorld


@pytest.fixture(scope="module")
def push() -> Iterator[PushWorld]:
    world = PushWorld()
    yield world
    world.close()
