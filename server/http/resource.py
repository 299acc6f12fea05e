"""What a resource declares: its folder is all there is to it, and one line in :mod:`server.app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from planner.loaded import ReadyModel
from server.engine.task import Task
from server.models.adapter import Adapter
from server.models.service import ModelService

M = TypeVar("M", bound=ReadyModel)

Example = dict[str, Any]
Document = dict[str, Any]

WORK_ERRORS = frozenset({404, 413, 415, 422, 429, 500, 503})
"""Statuses of endpoints that read a body, choose a model and have the engine work."""


@dataclass(frozen=True)
class Body:
    """What is posted to an endpoint as JSON."""

    schema: type[BaseModel]

    example: Callable[[ModelService], Example | None]
    """A body that the models of a service can answer; None where they cannot answer any."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Some endpoints, with all that the rest of the server has to know of them.

    Their limits are those of the schemas, and what adapters say in ``limits``.
    """

    router: APIRouter

    errors: Mapping[tuple[str, str], frozenset[int]]
    """By path and method in lower case, the statuses that an endpoint may answer with beside success."""

    bodies: Mapping[str, Body] = field(default_factory=dict)
    """By path, what is posted there."""

    adapters: tuple[Adapter[Any], ...] = ()
    """The kinds of models that work here."""

    open_paths: frozenset[str] = frozenset()
    """Paths that may be read without a key."""

    describe: Callable[[Document], None] = lambda document: None
    """Completes the OpenAPI document where it has more to say."""


def first_example(
    service: ModelService, kind: type[M], example: Callable[[M], Example | None]
) -> Example | None:
    """That of the first model of a kind that has one."""
    examples = map(example, service.of(kind))
    return next((found for found in examples if found is not None), None)


def adapters_of(resources: Sequence[Resource], model: ReadyModel) -> Iterator[Adapter[Any]]:
    """All that is known of a model, in the order of the resources."""
    for resource in resources:
        for adapter in resource.adapters:
            if isinstance(model, adapter.kind):
                yield adapter


def small_tasks(resources: Sequence[Resource], model: ReadyModel) -> Iterator[Task[Any]]:
    """Work of every sort that a model will be asked for."""
    for adapter in adapters_of(resources, model):
        yield from adapter.tasks(model)


def _resources(request: Request) -> tuple[Resource, ...]:
    resources: tuple[Resource, ...] = request.app.state.resources
    return resources


Resources = Annotated[tuple[Resource, ...], Depends(_resources)]
"""All of the application."""
