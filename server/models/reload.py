"""All models anew from their folders, while requests are answered: on SIGHUP."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from server.errors import Refused
from server.models.service import ModelService
from server.models.warm_up import WarmUp

_WARM_UP_SECONDS = 30.0
_ATTEMPTS = 5
"""To have the engine take the warm-up, which it may refuse while there is much to do."""


class Reload:
    """Loads and warms up new models in the background, then puts them in the place of all old ones at once.

    Whatever goes wrong, all old models go on serving. Requests end with the model that they began with.
    """

    def __init__(self, service: ModelService, count: Callable[[str], None]) -> None:
        """``count`` is told how every reload has ended: ok or failed."""
        self._service = service
        self._count = count
        # Its put may interrupt itself, so it may be called in a signal handler.
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="reload", daemon=True).start()

    def ask(self) -> None:
        """Load all models anew, after what is being loaded now. Returns at once; safe in a signal handler."""
        self._asked.put(None)

    def _run(self) -> None:
        log = logging.getLogger(__name__)
        while True:
            self._asked.get()
            try:
                self._replace()
            except Exception as error:  # the old models go on whatever is wrong with the new ones
                log.error("The models were not loaded anew, the old ones go on: %s", error)
                self._count("failed")
            else:
                names = (f"{model.name} {model.version}" for model in self._service.models.values())
                log.warning("The models were loaded anew: %s", ", ".join(names))
                self._count("ok")

    def _replace(self) -> None:
        service, seconds = self._service, dict[str, float]()
        models = service.load_all()
        self._do(service.warm_up(models, seconds, learns=False))
        service.warm_up_seconds = seconds
        service.models = models
        service.engine.batcher.forget()

    def _do(self, warm_up: WarmUp) -> None:
        """Have the engine work with the new models. Raises what it refuses or fails with."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                job = self._service.engine.submit(warm_up, time.monotonic() + _WARM_UP_SECONDS)
            except Refused as refusal:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(refusal.retry_after)
            else:
                job.future.result()
                return
