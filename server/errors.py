"""Every reason why a request is refused or comes to nothing; which status that is, HTTP decides."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from server.schemas import FieldError


class InvalidRequest(ValueError):
    """The body is not a valid request; ``errors`` says where and why, without repeating values."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = list(errors)


class InvalidPicture(ValueError):
    """A file is no picture that can be used."""


def invalid(field: str, message: str) -> InvalidRequest:
    """What to raise when one field is wrong."""
    return InvalidRequest([FieldError(field=field, message=message)])


class TooMuchWork(ValueError):
    """The request asks for more than one request may take."""

    def __init__(self, *factors: tuple[str, int], unit: str, limit: int) -> None:
        product = " x ".join(f"{count} {name}" for name, count in factors)
        total = math.prod(count for _, count in factors)
        *names, last = (name for name, _ in factors)
        super().__init__(
            f"{product} = {total} {unit}; one request may take {limit}. Lower {', '.join(names)} or {last}."
        )


class NoObject(ValueError):
    """A picture does not show the object that is to be moved; ``errors`` says which one."""

    def __init__(self, field: str, thing: str, pixels: int, least: float, most: float) -> None:
        """``field`` names the picture; the ``thing`` has ``least`` to ``most`` pixels, in one place."""
        picture = "the subgoal" if field == "subgoal" else f"the {field} picture"
        if pixels < least:
            problem = f"No {thing} was found in {picture}: {pixels} pixels have its colour, "
            problem += f"at least {least:g} are needed."
        else:
            problem = f"Not exactly one {thing} was found in {picture}: {pixels} pixels have its colour, "
            problem += f"{least:g} to {most:g} are needed, in one place."
        super().__init__(problem)
        self.errors = [FieldError(field=field, message=problem)]


class StrangePicture(ValueError):
    """A picture is of something else than what the model knows; ``errors`` says which one."""

    def __init__(self, field: str, strangeness: float, limit: float) -> None:
        """``field`` names the picture."""
        problem = f"The {field} picture shows something that this model has never seen: it differs by "
        problem += f"{strangeness:.2f} from what it knows, up to {limit:.2f} is taken."
        super().__init__(problem)
        self.errors = [FieldError(field=field, message=problem)]


class UnknownPlan(LookupError):
    """There is no plan of that id, or no longer."""

    def __init__(self, kept: int) -> None:
        """``kept``: how many plans are."""
        super().__init__(
            f"This server does not have that plan: it keeps the last {kept}, until it ends. Ask for it "
            "again (the same request with the same seed gives the same plan), or send the picture as subgoal."
        )


class IdempotencyConflict(ValueError):
    """The key of a request was used before, for another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another body before; a new request needs a new key.")


class UnknownModel(LookupError):
    """No model of that name is loaded, or none at all that could answer."""

    def __init__(self, available: Iterable[str]) -> None:
        super().__init__(f"There is no such model here; available: {', '.join(available) or 'none'}.")


class WrongModel(ValueError):
    """The model that was named is loaded, but is not of the kind that answers such requests."""

    def __init__(self, name: str, available: Iterable[str]) -> None:
        super().__init__(f"{name} cannot answer this; models that can: {', '.join(available) or 'none'}.")


class UnknownEnvironment(LookupError):
    """There is no environment of that name."""

    def __init__(self, available: Iterable[str]) -> None:
        super().__init__(f"There is no such environment here; available: {', '.join(available)}.")


class UnreadableScene(ValueError):
    """Pictures do not show a scene that can be set up in the simulator; ``errors`` says which one."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.errors = [FieldError(field=field, message=problem)]


class Refused(Exception):
    """A job is not taken, for the ``reason``; ``retry_after`` whole seconds it may be."""

    reason: ClassVar[str]
    retry_after: int


class QueueFull(Refused):
    """As many jobs are unfinished as the engine keeps."""

    reason = "queue-full"

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(f"{waiting} requests are already waiting, which is as many as this server keeps.")
        self.retry_after = retry_after


class PredictedLate(Refused):
    """The work cannot be done by its deadline beside what has been promised to others."""

    reason = "predicted-late"

    def __init__(self, wait: float, retry_after: int) -> None:
        super().__init__(
            f"Work of about {wait:.1f} s comes first: this request, or another one, would miss its deadline."
        )
        self.retry_after = retry_after


class QuotaExceeded(Refused):
    """One caller has as many unfinished jobs as one may have."""

    reason = "quota"

    def __init__(self, most: int, retry_after: int) -> None:
        super().__init__(
            f"{most} requests of this key are waiting or running, which is as many as a key may have."
        )
        self.retry_after = retry_after


class ShuttingDown(Refused):
    """The engine takes no new jobs."""

    reason = "shutting-down"
    retry_after = 5

    def __init__(self) -> None:
        super().__init__("This server is shutting down and takes no new requests.")


class DeadlinePassed(Exception):
    """A job's deadline passed before there was anything to answer."""

    def __init__(self, when: str, retry_after: int) -> None:
        super().__init__(f"The deadline passed {when}.")
        self.retry_after = retry_after


class Cancelled(Exception):
    """Somebody cancelled a job that others wait for."""

    def __init__(self) -> None:
        super().__init__("This work was cancelled before it was done.")


class PlanLost(Exception):
    """The process that made a plan has ended before the plan was done."""

    def __init__(self) -> None:
        super().__init__("The replica that made this plan has ended. The same request makes it anew.")


class NotReady(Exception):
    """Readiness was asked for and the answer is no; ``more`` are further fields of the problem."""

    retry_after = 1

    def __init__(self, reason: str, more: Mapping[str, object] | None = None) -> None:
        super().__init__(reason)
        self.more = more or {}


class UnsupportedMediaType(ValueError):
    """The body is in a format that is not read here; ``headers`` tell machines which ones are."""

    def __init__(self, *readable: str) -> None:
        super().__init__(f"Send {' or '.join(readable)}.")
        self.headers = {"Accept": ", ".join(readable)}


class UnsupportedEncoding(ValueError):
    """The body is packed; ``headers`` tell machines that it must not be."""

    def __init__(self) -> None:
        super().__init__("Send the body as it is: Content-Encoding can be identity alone, or left out.")
        self.headers = {"Accept-Encoding": "identity"}
