"""What an operator may set: ``WAYMARK_*`` environment variables or the flags of ``python -m server``."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from planner.loading import available_control_models, available_video_models, available_world_models
from server.hosts import is_loopback

PLANNERS = ("keyin-push", "keyin-push-irregular")
"""Those of the planners that ship which a server has unless told otherwise."""


class Settings(BaseSettings):
    """Settings of one server process; every field is also ``WAYMARK_<FIELD>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="WAYMARK_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one, but not under Ray."""

    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda: (
            *PLANNERS,
            *available_world_models(),
            *available_control_models(),
            *available_video_models(),
        ),
        min_length=1,
    )
    """Models to load, separated by commas: names of those that ship, folders, or ``NAME=`` and one of these.
    Of those that can answer, the one that was measured best in the task is the default of requests, or the
    first where none was measured. Left out: a planner of six keyframes, one of as many as are
    asked for, and all world models and control models that ship."""

    device: str = "cpu"
    """Torch device of all models."""

    threads: int = Field(default=1, ge=1, le=256)
    """Torch threads. Fixed rather than taken from the machine: sums depend on how work is split."""

    queue_size: int = Field(default=8, ge=1)
    """Requests that may wait for the engine; one more is refused with 503."""

    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    """Largest request body."""

    max_deadline_ms: int = Field(default=60_000, ge=1)
    """Largest ``deadline_ms`` a request may ask for."""

    keys_file: Path | None = None
    """Who may use the server, see :mod:`server.keys`; without it, whoever is at this machine."""

    key_requests: int = Field(default=4, ge=1)
    """Requests of one key that may wait or run at the same time."""

    root_path: str = ""
    """Path under which a proxy serves this server, such as ``/waymark``."""

    receive_seconds: float = Field(default=8.0, gt=0, le=3600)
    """Time for a request to arrive whole, head and body."""

    max_connections: int = Field(default=512, ge=1)
    """Connections open at the same time; one more is closed at once."""

    ray: str | None = None
    """Serve under Ray: the address of a cluster, or :data:`world_models.jobs.cluster.AT_HAND`."""

    least_replicas: int = Field(default=1, ge=1)
    """Under Ray: replicas that always run."""

    most_replicas: int = Field(default=4, ge=1)
    """Under Ray: replicas when there is most to do."""

    @field_validator("port", mode="before")
    @classmethod
    def _own_port(cls, value: object) -> object:
        """Kubernetes says with WAYMARK_PORT=tcp://10.96.0.12:8000 where a service named waymark is."""
        others = isinstance(value, str) and value.startswith(("tcp://", "udp://", "sctp://"))
        return cls.model_fields["port"].default if others else value

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(filter(None, (name.strip() for name in value.split(","))))

    @field_validator("root_path")
    @classmethod
    def _plain(cls, value: str) -> str:
        path = "/" + value.strip("/") if value.strip("/") else ""
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
            raise ValueError("a path such as /waymark, of letters, digits and -._~, is needed")
        return path

    @model_validator(mode="after")
    def _addressed(self) -> "Settings":
        if self.ray is not None and self.port == 0:
            raise ValueError("a service under Ray cannot take a free port: choose a --port from 1 to 65535")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> "Settings":
        if self.least_replicas > self.most_replicas:
            raise ValueError(
                f"there cannot be at least {self.least_replicas} and at most {self.most_replicas} replicas: "
                "choose other --least-replicas or --most-replicas"
            )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> "Settings":
        if self.keys_file is None and not is_loopback(self.host):
            raise ValueError(
                f"other machines reach {self.host}: make a key with `python -m server.keys NAME --file FILE` "
                "and name the file with --keys-file or WAYMARK_KEYS_FILE, or listen on 127.0.0.1"
            )
        return self
