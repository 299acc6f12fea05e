"""How commands end: in a sentence, never in a traceback, with a status that says what happened.

======  ====================================================================
status  meaning
======  ====================================================================
0       done
1       it could not be done; the sentence on standard error says why
2       the command line is wrong
130     interrupted (Ctrl-C)
141     who read the output has gone (``... | head``)
143     told to end (SIGTERM)
======  ====================================================================

A traceback is a fault of this code.
"""

import errno
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import wraps
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

INTERRUPTED, READER_GONE, TERMINATED = (128 + int(s) for s in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM))
_HINTS = {
    errno.EACCES: "choose a place that you may write to and read from",
    errno.EPERM: "choose a place that you may write to and read from",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "make room on the disk and run the same command again",
    errno.EDQUOT: "make room on the disk and run the same command again",
    errno.ENOENT: "choose one that exists",
    errno.ENOTDIR: "choose a path whose folders are folders",
    errno.EISDIR: "choose a file",
}


Main = Callable[[], None]


class Failure(RuntimeError):
    """Something could not be done that was asked for rightly; the words are a sentence for the user."""


class Terminated(BaseException):
    """The process was told to end (SIGTERM)."""


def command(
    *, resumes: bool = False, drains: bool = False, expected: tuple[type[Exception], ...] = ()
) -> Callable[[Main], Main]:
    """Make a function the entry point of a command that ends as this module says.

    Args:
        resumes: the same command goes on where it was stopped.
        drains: it answers SIGTERM itself, by finishing what it has begun, and dies of it then.
        expected: further errors whose words are the sentence.
    """

    def decorate(main: Main) -> Main:
        @wraps(main)
        def run() -> None:
            _print_anything()
            if not drains:
                _hear_sigterm()
            stopped = "stopped; run the same command to go on" if resumes else "stopped"
            try:
                try:
                    main()
                finally:
                    sys.stdout.flush()
            except KeyboardInterrupt:
                _end(stopped, INTERRUPTED)
            except Terminated:
                _end(stopped, TERMINATED)
            except BrokenPipeError as error:
                raise SystemExit(READER_GONE if _reader_gone() else sentence(error)) from error
            except Exception as error:
                words = str(error) if isinstance(error, expected) else sentence(error)
                if words is None:
                    raise
                raise SystemExit(words) from error

        return run

    return decorate


def sentence(error: Exception) -> str | None:
    """What went wrong in one sentence; None for what is a fault of this code and needs its traceback."""
    from pydantic import ValidationError  # not before it is needed: a list of commands comes at once

    match error:
        case ValidationError():
            wrong = error.errors(include_url=False, include_context=False)
            return "; ".join(": ".join([*map(str, item["loc"]), item["msg"]]) for item in wrong)
        case ValueError() | Failure():
            return str(error)
        case BrokenProcessPool():
            return "a worker process has ended, most likely for want of memory; try fewer --workers"
        case OSError():
            names = [str(name) for name in (error.filename, error.filename2) if name is not None]
            cause = error.strerror or str(error)
            hint = _HINTS.get(error.errno or 0)
            return ": ".join([*names, cause]) + (f"; {hint}" if hint and names else "")
        case MemoryError():
            return "there is not enough memory for this"
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for this
        return f"the device has not enough memory: {str(error).splitlines()[0]}"
    return None


def _end(words: str, status: int) -> NoReturn:
    sys.stderr.write(f"{words}\n")
    raise SystemExit(status)


def _print_anything() -> None:
    """A terminal that knows ASCII alone must not cost the results of hours."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _hear_sigterm() -> None:
    untouched = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if untouched and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _reader_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more; then nothing more is written to it."""
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), 0)
    gone = any(event & select.POLLERR for _, event in pipe.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone
