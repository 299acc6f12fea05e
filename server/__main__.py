"""``python -m server``: load the models, warm them up, answer requests until told to stop."""

import argparse
import signal
import sys
import warnings
from collections.abc import Mapping
from types import FrameType

import uvicorn
from pydantic import ValidationError

from planner.loaded import Ready
from planner.loading import available_ready, find_models, load_ready
from server.app import create_app
from server.cluster.serving import serve
from server.hosts import check_address
from server.http.connection import configure
from server.http.metrics import Metrics
from server.keys import read_keys
from server.models.reload import Reload
from server.models.service import ModelService
from server.settings import Settings
from world_models.jobs.cluster import AT_HAND
from world_models.jobs.command import command
from world_models.jobs.outputs import check_device


class _Server(uvicorn.Server):
    """Tells the service of a stop signal at once, while uvicorn waits for open requests."""

    def __init__(self, config: uvicorn.Config, service: ModelService) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.drain()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        # Without its engine the process is of no use: whoever started it should start another.
        return await super().on_tick(counter) or self._service.engine.failed


@command(drains=True)
def main() -> None:
    """Read the settings and serve."""
    # Pillow warns of odd files in its own words; clients get ours.
    warnings.filterwarnings("ignore", module="PIL")
    settings, models = _settings()
    if settings.ray is not None:
        serve(settings, lambda url: print(f"Ray Serve running on {url} (Press CTRL+C to quit)", flush=True))
        return
    metrics = Metrics()
    # The first time they have been read already.
    service = ModelService(
        settings, lambda name, device: models.pop(name, None) or load_ready(name, device), metrics
    )
    app = create_app(settings, service, metrics)
    reload = Reload(service, lambda outcome: metrics.reloads.labels(outcome).inc())
    signal.signal(signal.SIGHUP, lambda *_: reload.ask())
    _Server(configure(app, settings), service).run()
    if service.engine.failed:
        sys.exit(1)


def _settings() -> tuple[Settings, dict[str, Ready]]:
    """Settings from the environment, overridden by flags, and the models they name; replicas under Ray read
    theirs themselves.

    Ends with a sentence if they make no sense.
    """
    fields = Settings.model_fields
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    parser.add_argument("--host", help=f"address to listen on (default {fields['host'].default})")
    parser.add_argument("--port", type=int, help=f"port to listen on (default {fields['port'].default})")
    parser.add_argument(
        "--models",
        help="models, with commas between: the path of a model folder, NAME=PATH, or the name of one that "
        f"ships: {', '.join(available_ready())}",
    )
    parser.add_argument("--device", help=f"torch device (default {fields['device'].default})")
    parser.add_argument("--threads", type=int, help=f"torch threads (default {fields['threads'].default})")
    parser.add_argument("--root-path", help="path under which a proxy serves this server, such as /waymark")
    parser.add_argument("--keys-file", help="who may use the server (default: this machine alone)")
    parser.add_argument(
        "--ray",
        nargs="?",
        const=AT_HAND,
        metavar="ADDRESS",
        help="serve under Ray, by a cluster or one of here",
    )
    for name in ("least_replicas", "most_replicas"):
        parser.add_argument(_flag(name), type=int, help=f"with --ray (default {fields[name].default})")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        parser.error("; ".join(f"{_source(item['loc'], given)}{item['msg']}" for item in error.errors()))
    try:
        find_models(settings.models)
        check_device(settings.device)
        if settings.ray is None:
            check_address(settings.host, settings.port)
        if settings.keys_file is not None:
            read_keys(settings.keys_file)
        here = settings.models if settings.ray is None else ()
        return settings, {name: load_ready(name, settings.device) for name in here}
    except ValueError as error:
        parser.error(str(error))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _source(place: tuple[int | str, ...], given: Mapping[str, object]) -> str:
    """Where a wrong setting is from: the flag, or the variable of the environment."""
    if not place:
        return ""
    name = str(place[0])
    return f"{_flag(name)}: " if name in given else f"WAYMARK_{name.upper()}: "


if __name__ == "__main__":
    main()
