"""Training in several processes: how many are wanted, started here by torchrun, or joined where it started this one."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.errors import ENVIRONMENT, StageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ml.params import Mode

WANTED = "TRUNKLINE_PROCESSES"
STARTS = 4
"""How often the processes are started, from the last checkpoint on, where one of them was killed."""


def wanted(env: Mapping[str, str]) -> int:
    """How many processes are to train. Raises StageError when TRUNKLINE_PROCESSES is no number of them."""
    found = env.get(WANTED, "") or "1"
    if not (found.isascii() and found.isdigit() and 1 <= int(found) <= 1024):
        raise StageError(f"{WANTED} is '{found}'; expected a number of processes, 1 or more, or leave it unset")
    return int(found)


def is_member(env: Mapping[str, str]) -> bool:
    """Whether torchrun started this process."""
    return "RANK" in env and "TORCHELASTIC_RUN_ID" in env


def is_first(env: Mapping[str, str]) -> bool:
    """Whether it is the one that tells and writes."""
    return env["RANK"] == "0"


def launch(model: str, mode: Mode, count: int) -> None:
    """Run the stage in `count` processes of this machine, under torchrun. Raises StageError when they fail.

    Not by torchrun's own restarts: it would try a mistake in the model's code as often as a process that was killed.
    """
    import torch  # noqa: PLC0415 - heavy, and of no use to one process
    from torch.distributed import run as torchrun  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415

    if torch.cuda.is_available() and count > torch.cuda.device_count():
        words = f"{WANTED} is {count}, but this machine has {torch.cuda.device_count()} GPUs; ask for one each"
        raise StageError(words, exit_code=ENVIRONMENT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun would, with a warning
    options = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(count)]
    options += ["--module", "ml.stages.train", model, mode]
    for start in range(1, STARTS + 1):
        try:
            torchrun.run(torchrun.parse_args(options))  # type: ignore[no-untyped-call]  # torch leaves them untyped
        except SignalException as stopped:
            sys.exit(128 + stopped.sigval)
        except ChildFailedError as error:
            failures = error.failures.values()
            if start == STARTS or not killed([failure.exitcode for failure in failures]):
                raise cause([failure.error_file_data for failure in failures]) from error
            sys.stderr.write(f"train {model} {mode}: a process was killed; starting all of them again\n")
        else:
            return


def killed(codes: Iterable[int]) -> bool:
    """Whether a signal ended one of them, but for the one by which torchrun ends the rest."""
    return any(code < 0 and code != -signal.SIGTERM for code in codes)


def cause(told: Iterable[Any]) -> StageError:
    """What stopped the processes: the first of them that could say why, since the others stop for want of it."""
    known = [each for each in told if isinstance(each, dict) and "told_at" in each]
    if not known:
        words = "the processes of the training were killed; free memory, and run it again: it goes on where it was"
        return StageError(words, exit_code=ENVIRONMENT)
    first = min(known, key=lambda each: each["told_at"])
    return StageError(first["message"], exit_code=first["exit_code"], file=first["file"], line=first["line"])


def tell(error: StageError, env: Mapping[str, str]) -> None:
    """Tell a process's failure: to the log, and to whoever launched the processes."""
    sys.stderr.write(f"process {env['RANK']}: {error.message}\n")
    record = {"message": error.message, "exit_code": error.exit_code, "file": error.file, "line": error.line}
    if path := env.get("TORCHELASTIC_ERROR_FILE"):
        Path(path).write_text(json.dumps({**record, "told_at": time.time()}))


def end_with_launcher() -> None:
    """Have the kernel kill this process when its launcher dies, even by kill -9: else it would train on alone."""
    if sys.platform == "linux":
        launcher = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != launcher:
            os.kill(os.getpid(), signal.SIGKILL)
