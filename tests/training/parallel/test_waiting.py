"""RANK and WORLD_SIZE left over in a shell: what is waited for is said at once, and a signal ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from stars_bench.errors import UsageError
from stars_bench.training.parallel import distributed
from tests.training.parallel.test_lost_ranks import free_port

PROGRAM = """
import sys
from stars_bench.cli import main
sys.argv = ["stars-bench", "report"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_waited_for_is_said_and_a_signal_ends_it(number: int) -> None:
    port = free_port()
    left = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=os.environ | left, stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        try:
            assert waiting.stderr.readline() == (
                f"waiting for process 1 of 2 at 127.0.0.1:{port}, because RANK and WORLD_SIZE are set; unset them if "
                "you meant a single process\n"
            )
            waiting.send_signal(number)
            asked = time.monotonic()
            assert waiting.wait(timeout=60) == 128 + number
            assert time.monotonic() - asked < 10
        finally:
            waiting.kill()


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: must be a number"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
        ({"RANK": "2"}, "RANK=2, WORLD_SIZE=2: processes are numbered from 0 to 1"),
    ],
)
def test_variables_that_cannot_be_right_are_named(
    variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29655"}
    for name, value in (whole | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{line}, because RANK and WORLD_SIZE are set; unset them if"):
        distributed.start()
