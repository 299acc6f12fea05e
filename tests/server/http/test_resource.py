"""Resources declare themselves: all that is served is declared, and a new one takes its own values alone."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import Field
from starlette.responses import Response

from planner.loaded import ReadyPlanner
from server.app import RESOURCES, create_app
from server.engine.task import Work, go_on
from server.errors import invalid
from server.http.exchange import Exchanging
from server.http.resource import WORK_ERRORS, Body, Resource, adapters_of, first_example, small_tasks
from server.models.adapter import Adapter
from server.models.service import ModelService
from server.schemas import Answer, Options, Range, Schema

MOST_WORDS = 3
SERVER = Path(__file__).parents[3] / "server"


class EchoRequest(Options):
    """Words to say again."""

    words: Annotated[list[str], Field(min_length=1, max_length=MOST_WORDS)]


class EchoContent(Schema):
    """The words proper."""

    model: str
    words: list[str]


class EchoResponse(Answer, EchoContent):
    """Words and how they came about."""


@dataclass(frozen=True)
class EchoTask:
    """Words that a planner says again."""

    model: ReadyPlanner
    words: tuple[str, ...]

    kind: ClassVar[str] = "echo"
    least: ClassVar[float] = 1.0

    @property
    def who(self) -> str:
        return self.model.name

    @property
    def amount(self) -> float:
        return len(self.words)

    def work(self, device: str) -> Work[EchoContent]:
        yield from go_on()
        return EchoContent(model=self.model.name, words=list(self.words))


echoes = APIRouter(tags=["echoes"])


@echoes.post("/v1/echoes", response_model=EchoResponse)
async def echo(exchange: Exchanging) -> Response:
    """Say words again."""
    request = await exchange.read(EchoRequest)
    model = exchange.service.choose(request.model, exchange.service.of(ReadyPlanner))
    if "nothing" in request.words:
        raise invalid("words", "Nothing cannot be said.")
    task = EchoTask(model, tuple(request.words))
    return await exchange.answer(
        task, exchange.deadline_ms(request.deadline_ms), lambda found: found, EchoResponse
    )


@echoes.get("/v1/echoes/mood")
async def mood() -> str:
    """How it is."""
    return "open"


ECHOES = Resource(
    router=echoes,
    errors={("/v1/echoes", "post"): WORK_ERRORS, ("/v1/echoes/mood", "get"): frozenset({500})},
    bodies={
        "/v1/echoes": Body(
            EchoRequest,
            lambda service: first_example(
                service, ReadyPlanner, lambda model: {"model": model.name, "words": ["a", "b"]}
            ),
        )
    },
    adapters=(
        Adapter(
            kind=ReadyPlanner,
            tasks=lambda model: [EchoTask(model, ("a",))],
            facts=lambda model: {"limits": {"words": Range(min=1, max=MOST_WORDS)}},
        ),
    ),
    open_paths=frozenset({"/v1/echoes/mood"}),
)


@pytest.fixture
def with_echoes(make_service: Callable[..., ModelService], eventually: Any) -> Iterator[TestClient]:
    """A service that has one more resource, warmed up."""
    service = make_service()
    app = create_app(service.settings, service, resources=(*RESOURCES, ECHOES))
    with TestClient(app, base_url="http://localhost") as client:
        eventually(lambda: service.unready() is None)
        yield client


def test_a_new_resource_is_described_and_its_example_works(with_echoes: TestClient) -> None:
    document = with_echoes.get("/openapi.json").json()
    operation = document["paths"]["/v1/echoes"]["post"]
    form = operation["requestBody"]["content"]["application/json"]
    assert form["schema"] == {"$ref": "#/components/schemas/EchoRequest"}
    words = document["components"]["schemas"]["EchoRequest"]["properties"]["words"]
    assert (words["minItems"], words["maxItems"]) == (1, MOST_WORDS)
    assert {str(status) for status in WORK_ERRORS} <= set(operation["responses"])
    assert "Retry-After" in operation["responses"]["503"]["headers"]
    reply = with_echoes.post("/v1/echoes", json=form["example"])
    assert reply.is_success and "work;dur=" in reply.headers["Server-Timing"]
    assert reply.json()["words"] == ["a", "b"] and len(reply.json()["digest"]) == 64


def test_a_new_resource_has_limits(with_echoes: TestClient) -> None:
    (model,) = with_echoes.get("/v1/models").json()["models"]
    assert model["limits"]["words"] == {"min": 1, "max": MOST_WORDS}
    assert model["limits"]["samples"]["min"] == 2, "what others say of the model stays"
    refused = with_echoes.post("/v1/echoes", json={"words": ["a"] * (MOST_WORDS + 1)})
    assert refused.status_code == 422 and "words" in refused.json()["detail"]
    refused = with_echoes.post("/v1/echoes", json={"words": ["nothing"]})
    assert refused.json()["errors"] == [{"field": "words", "message": "Nothing cannot be said."}]


def test_a_new_resource_is_warmed_up(with_echoes: TestClient) -> None:
    service: ModelService = with_echoes.app.state.service
    assert service.engine.forecast.seconds("echo", "toy", 1.0) > 0
    assert service.engine.forecast.seconds("plan", "toy", 100.0) > 0


def test_only_what_is_declared_open_needs_no_key(make_service: Callable[..., ModelService], tmp_path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"alice {'0' * 64}\n")
    service = make_service(keys_file=keys)
    app = create_app(service.settings, service, resources=(*RESOURCES, ECHOES))
    client = TestClient(app, base_url="http://localhost")
    assert client.get("/v1/echoes/mood").json() == "open"
    assert client.post("/v1/echoes", json={"words": ["a"]}).status_code == 401
    operations = client.app.openapi()["paths"]
    assert operations["/v1/echoes/mood"]["get"]["security"] == []
    assert "security" not in operations["/v1/echoes"]["post"]


def test_every_endpoint_is_declared() -> None:
    for resource in RESOURCES:
        served = {
            (route.path, method.lower()) for route in resource.router.routes for method in route.methods
        }
        assert served == set(resource.errors)
        assert {path for path, method in served if method == "post"} == set(resource.bodies)
        assert resource.open_paths <= {path for path, method in served if method == "get"}


def test_no_other_folder_names_the_paths_of_a_resource() -> None:
    written = {
        path: {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        for path in SERVER.rglob("*.py")
    }
    for resource in RESOURCES:
        (folder,) = {route.endpoint.__module__.split(".")[1] for route in resource.router.routes}
        own = {path for path, _ in resource.errors}
        assert own & set().union(*(found for path, found in written.items() if path.parent.name == folder))
        strangers = [
            path.name for path, found in written.items() if path.parent.name != folder and own & found
        ]
        assert not strangers, f"{strangers} name paths of {folder}"


def test_every_model_is_told_of_and_warmed_up(worlds: ModelService, videos: ModelService) -> None:
    for model in (*worlds.models.values(), *videos.models.values()):
        adapters = [*adapters_of(RESOURCES, model)]
        assert len([adapter for adapter in adapters if adapter.arrays is not None]) == 1
        assert len([adapter for adapter in adapters if "kind" in adapter.facts(model)]) == 1
        assert [*small_tasks(RESOURCES, model)]


def test_no_name_of_the_description_is_that_of_a_module(world_http: TestClient) -> None:
    names = world_http.get("/openapi.json").json()["components"]["schemas"]
    assert "Position" in names and "PositionEstimate" in names
    assert not [name for name in names if "__" in name]
