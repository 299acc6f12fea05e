"""What the server knows of a kind of model: values that stand next to the tasks such models are asked for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from planner.loaded import ReadyModel
from server.engine.task import Task

M = TypeVar("M", bound=ReadyModel)


@dataclass(frozen=True)
class Array:
    """An array that a model takes or gives; in its shape -1 stands for any size."""

    name: str
    datatype: Literal["UINT8", "FP32"]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Arrays:
    """All that a model takes and gives."""

    inputs: list[Array]
    outputs: list[Array]


@dataclass(frozen=True, kw_only=True)
class Adapter(Generic[M]):
    """One kind of model, as a resource uses it."""

    kind: type[M]
    """What such models are once they are loaded."""

    tasks: Callable[[M], Iterable[Task[Any]]]
    """Small work that such a model can do: of every sort that it will be asked for."""

    facts: Callable[[M], Mapping[str, Any]]
    """What ``GET /v1/models`` says of it on account of the resource; ``defaults`` and ``limits`` are added to
    those of others."""

    arrays: Callable[[M], Arrays] | None = None
    """What it takes and gives; None if another resource says it."""


def pictures(name: str, size: int, *count: int) -> Array:
    """Square pictures, so many of them."""
    return Array(name, "UINT8", (*count, size, size, 3))


def numbers(name: str, *shape: int) -> Array:
    """Real numbers."""
    return Array(name, "FP32", shape)
