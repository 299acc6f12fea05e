"""A client that others generate from the description: it has every endpoint, and all of them answer."""

import base64
import importlib
import inspect
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from planner.loaded import ReadyPlanner
from planner.loading import load_ready
from server.app import create_app
from server.client import Client
from server.http.pictures import from_base64
from server.keys import add_key
from server.models.service import ModelService
from server.settings import Settings

PACKAGE = "waymark_client"
TIMES = 20

Call = Callable[..., Any]


@pytest.fixture
def key(tmp_path: Path) -> str:
    return add_key(tmp_path / "keys.txt", "tester")


@pytest.fixture
def service(
    ready_planner: ReadyPlanner,
    world_folders: dict[str, Path],
    video_folders: dict[str, Path],
    tmp_path: Path,
    key: str,
) -> ModelService:
    """Small models of every kind, for who has the key."""
    folders = world_folders | video_folders
    models = {"toy": ready_planner} | {name: load_ready(str(path)) for name, path in folders.items()}
    settings = Settings(models=tuple(models), keys_file=tmp_path / "keys.txt")
    return ModelService(settings, lambda name, device: models[name])


@pytest.fixture
def description(url: str, key: str) -> dict[str, Any]:
    reply = httpx2.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    return dict(reply.json())


@pytest.fixture
def package(
    description: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """What openapi-python-client makes of the description, without a warning."""
    files = {"openapi.json": description, "config.json": {"post_hooks": []}}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.json", "--output-path", PACKAGE]
    made = subprocess.run(
        [*command, "--fail-on-warning"], capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    assert made.returncode == 0 and "WARNING" not in made.stdout, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def call(package: ModuleType, description: dict[str, Any], url: str, key: str) -> Iterator[Call]:
    """``call(operation, **arguments)``: what an endpoint answers, with its status and as it is parsed."""
    tags = {operation["operationId"]: operation["tags"][0] for _, _, operation in operations(description)}
    with package.AuthenticatedClient(base_url=url, token=key, timeout=60) as client:

        def ask(operation: str, **arguments: Any) -> Any:
            folder = tags[operation].replace(" ", "_")
            module = importlib.import_module(f"{PACKAGE}.api.{folder}.{operation}")
            return module.sync_detailed(client=client, **arguments)

        yield ask


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is said of every endpoint."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def body_of(operation: dict[str, Any], **changes: Any) -> Any:
    """The example of an endpoint as the generated client sends it, otherwise in some fields."""
    content = operation["requestBody"]["content"]["application/json"]
    models = importlib.import_module(f"{PACKAGE}.models")
    kind = getattr(models, content["schema"]["$ref"].rpartition("/")[2])
    return kind.from_dict(content["example"] | changes)


def proper(reply: Any) -> Any:
    """What was parsed, of a reply that is no problem."""
    assert reply.status_code in (200, 202, 204), reply.content
    assert type(reply.parsed).__name__ not in ("Problem", "NoneType"), reply.content
    return reply.parsed


def test_every_endpoint_answers_a_generated_client(call: Call, description: dict[str, Any], url: str) -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations(description)}
    named: dict[str, dict[str, str]] = {}
    ready = proper(call("list_models")).models[0]
    plan = proper(call("create_plan", body=body_of(by_name["create_plan"])))
    for path, _, operation in operations(description):
        name = operation["operationId"]
        given = {"plan": plan.id, "name": ready.name, "version": ready.version}
        arguments: dict[str, Any] = {part: given[part] for part in given if f"{{{part}}}" in path}
        if "requestBody" in operation:
            arguments["body"] = body_of(operation)
        reply = call(name, **arguments)
        named[name] = {"type": type(reply.parsed).__name__}
        if name == "metrics":
            assert reply.status_code == 200 and b"waymark_ready" in reply.content
        elif name == "cancel_plan":
            assert reply.status_code == 204
        else:
            proper(reply)
    assert len(named) == len(by_name) > 20
    assert named["create_plan"] == {"type": "PlanResponse"} and named["get_plan"] == {"type": "PlanStatus"}


def test_twenty_plans_and_actions_and_an_episode(
    call: Call, description: dict[str, Any], url: str, key: str
) -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations(description)}
    with Client(url, key=key) as own:
        plans = [
            proper(call("create_plan", body=body_of(by_name["create_plan"], seed=n))) for n in range(TIMES)
        ]
        assert len({plan.digest for plan in plans}) == TIMES
        example = body_of(by_name["create_plan"])
        start, goal = from_base64(example.start), from_base64(example.goal)
        for seed in (0, TIMES - 1):
            assert own.plan(start, goal, seed=seed, model="toy").response.digest == plans[seed].digest
    operation = by_name["choose_action"]
    actions = [proper(call("choose_action", body=body_of(operation, seed=n))) for n in range(TIMES)]
    assert len({action.digest for action in actions}) == TIMES
    assert all(-1 <= number <= 1 for action in actions for number in action.action)
    episode = proper(call("run_episode", body=body_of(by_name["run_episode"], steps=3)))
    assert episode.steps == len(episode.actions) == 3 and len(episode.frames) == 4


def test_pictures_travel_as_files_too(call: Call, description: dict[str, Any], package: ModuleType) -> None:
    models = importlib.import_module(f"{PACKAGE}.models")
    types = importlib.import_module(f"{PACKAGE}.types")
    operation = next(
        found for _, _, found in operations(description) if found["operationId"] == "create_plan"
    )
    example = body_of(operation, seed=5)
    files = {
        name: types.File(io.BytesIO(base64.b64decode(getattr(example, name))), f"{name}.png", "image/png")
        for name in ("start", "goal")
    }
    options = models.PlanOptions(seed=5, model=example.model)
    form = models.CreatePlanFilesBody(**files, request=options)
    assert proper(call("create_plan", body=form)).digest == proper(call("create_plan", body=example)).digest


def test_a_client_without_the_key_is_told_so(package: ModuleType, url: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.api.models.list_models")
    with package.Client(base_url=url) as client:
        refused = module.sync_detailed(client=client)
        assert refused.status_code == 401 and type(refused.parsed).__name__ == "Problem"
        live = importlib.import_module(f"{PACKAGE}.api.health.livez")
        assert live.sync(client=client).status == "alive"
    parameters = inspect.signature(module.sync_detailed).parameters
    assert "AuthenticatedClient" in str(parameters["client"].annotation)


def test_names_in_the_description_are_plain_and_mean_one_thing(
    make_service: Callable[..., ModelService],
) -> None:
    service = make_service()
    description = create_app(service.settings, service).openapi()
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert {"create_plan", "get_plan", "cancel_plan", "choose_action", "run_episode"} < set(names)
    assert len(set(names)) == len(names) and all(name.isidentifier() and name.islower() for name in names)
    schemas = description["components"]["schemas"]
    assert all(name.isidentifier() and schema["title"] == name for name, schema in schemas.items())
    assert description["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert description["security"] == [{}, {"key": []}]  # this server has no keys
    for path, _, operation in operations(description):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert parameter["required"] and parameter["schema"]["type"] == "string", path
        assert operation["tags"] and operation["summary"] and operation["description"]
