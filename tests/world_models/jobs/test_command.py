"""How commands end."""

import errno
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest
from pydantic import BaseModel, Field, ValidationError

from world_models.jobs.command import Failure, command, sentence

VERBS = ["envs.collect", "server.keys"]


class Sizes(BaseModel):
    width: int = Field(gt=0)


def refused() -> Exception:
    with pytest.raises(ValidationError) as error:
        Sizes(width=0)
    return error.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("choose from a, b"), "choose from a, b"),
        (Failure("the server ended"), "the server ended"),
        (refused(), "width: Input should be greater than 0"),
        (
            PermissionError(errno.EACCES, "Permission denied", "o.json"),
            "o.json: Permission denied; choose a place",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "o.json"), "make room on the disk"),
        (OSError(errno.EADDRINUSE, "Address already in use"), "Address already in use"),
        (BrokenProcessPool(), "fewer --workers"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_errors_are_sentences(error, words):
    @command()
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        main()
    assert words in str(ended.value) and "\n" not in str(ended.value)


def test_faults_of_this_code_keep_their_traceback():
    @command()
    def main() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError):
        main()
    assert sentence(TypeError("a")) is None


def test_expected_errors_are_sentences_too():
    @command(expected=(LookupError,))
    def main() -> None:
        raise LookupError("ask again")

    with pytest.raises(SystemExit, match="ask again"):
        main()


@pytest.mark.parametrize("module", VERBS)
def test_a_reader_that_has_gone_ends_it_quietly(module):
    command = [sys.executable, "-m", module, "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in {0, 141}  # argparse takes no notice


def test_a_terminal_that_knows_ascii_alone_gets_the_results_too():
    code = "from world_models.jobs.command import command\ncommand()(lambda: print('1 ± 2'))()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "1 \\xb1 2\n")
