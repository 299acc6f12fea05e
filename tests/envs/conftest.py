"""One pushing environment for all tests of a module: making a GL context is the slow part."""

from collections.abc import Iterator

import pytest

from envs.push.env import PushEnv


@pytest.fixture(scope="module")
def push() -> Iterator[PushEnv]:
    env = PushEnv()
    yield env
    env.close()
