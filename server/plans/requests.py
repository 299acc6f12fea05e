"""Requests for plans, as JSON or as forms -> tasks: all that depends on the model is checked here."""

import asyncio
import hashlib
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile

from planner.loaded import ReadyPlanner
from server.errors import InvalidRequest
from server.http.bodies import decode_picture, parse, shown, to_file
from server.http.exchange import JSON, Exchange
from server.plans.schemas import PlanOptions, PlanRequest
from server.plans.task import PlanTask, plan_task
from server.schemas import FieldError

_FORM = "multipart/form-data"


@dataclass(frozen=True)
class PlanUpload:
    """A plan request with its two picture files, not yet decoded."""

    options: PlanOptions
    start: bytes
    goal: bytes

    @property
    def digest(self) -> str:
        """Equal for equal requests, however they travelled."""
        options = self.options.model_dump_json(exclude={"start", "goal"})
        parts = (options.encode(), self.start, self.goal)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def task(self, model: ReadyPlanner) -> PlanTask:
        """What is to be done. Raises InvalidPicture, InvalidRequest, TooMuchWork."""
        return plan_task(
            model,
            decode_picture("start", self.start, model.image_size),
            decode_picture("goal", self.goal, model.image_size),
            seed=self.options.seed,
            samples=self.options.samples,
            iterations=self.options.iterations,
            keyframes=self.options.keyframes,
            alternatives=self.options.alternatives or 0,
            path=self.options.path,
        )


async def read_upload(exchange: Exchange) -> PlanUpload:
    """The body. Raises InvalidRequest, UnsupportedMediaType, UnsupportedEncoding."""
    exchange.check_media_type(JSON, _FORM)
    if exchange.media_type == JSON:
        return await asyncio.to_thread(read_json, await exchange.request.body())
    limit = exchange.service.settings.max_body_bytes
    async with exchange.request.form(max_files=3, max_fields=3, max_part_size=limit) as form:
        return await read_form(form)


def read_json(body: bytes) -> PlanUpload:
    """A request in JSON with base64 pictures. Raises InvalidRequest."""
    request = parse(PlanRequest, body)
    return PlanUpload(request, to_file("start", request.start), to_file("goal", request.goal))


async def read_form(form: FormData) -> PlanUpload:
    """A request as a form: files ``start`` and ``goal``, JSON in ``request``. Raises InvalidRequest."""
    parts = form.multi_items()
    names = [name for name, _ in parts]
    errors = [
        FieldError(field=shown(name), message="Parts are start, goal and request, each at most once.")
        for name in sorted(set(names))
        if name not in {"start", "goal", "request"} or names.count(name) > 1
    ]
    files = {name: part for name, part in parts if isinstance(part, UploadFile)}
    errors += [
        FieldError(field=name, message="Send this part, as a file with a file name.")
        for name in ("start", "goal")
        if name not in files
    ]
    if errors:
        raise InvalidRequest(errors)
    options = parse(PlanOptions, await _part_bytes(form.get("request", "{}")))
    return PlanUpload(options, await files["start"].read(), await files["goal"].read())


async def _part_bytes(part: UploadFile | str) -> bytes:
    # Some charsets decode to text that UTF-8 has no bytes for: the JSON parser may refuse what is left of it.
    return await part.read() if isinstance(part, UploadFile) else part.encode(errors="replace")
