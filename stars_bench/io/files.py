"""Hashes, the state of code and machine, UTC times, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import secrets
import shutil
import subprocess
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from stars_bench._version import __version__
from stars_bench.errors import StarsBenchError, UsageError, cause, reading
from stars_bench.io.partial import SUFFIX, prefix_of, remove_abandoned, tidy_once
from stars_bench.io.sealed import refuse_odd

if TYPE_CHECKING:
    from filelock import BaseFileLock

PACKAGE = Path(__file__).parents[1]
TRIES = 100
NOT_OFFERED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENOLCK}
"""What file systems such as NFS, exFAT, SMB and FUSE answer when they lack what they are asked for: here the lock of a
file, or to wait until it is on the disk."""
LARGEST_TOML = 1 << 20
"""Bytes: many times what settings or the description of a dataset have."""
REPORTED_PACKAGES = ("numpy", "torch", "h5py", "pandas", "numba", "pydantic")


def digest_json(value: Any) -> str:
    """Return SHA-256 (hex) of a JSON-able value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_lines(lines: Iterable[str]) -> str:
    """Return SHA-256 (hex) of lines, each ended by a newline: the digest of an id list."""
    hasher = hashlib.sha256()
    for line in lines:
        hasher.update(line.encode() + b"\n")
    return hasher.hexdigest()


def digest_file(path: Path) -> str:
    """Return SHA-256 (hex) of a file's bytes.

    Raises:
        StarsBenchError: It is no regular file: a FIFO would never end.
    """
    refuse_odd(path)
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_part(name: str) -> str:
    """Return a name as one part of a path, with any text in it: it leads to no other folder, and is never hidden."""
    part = re.sub(r"[^\w.-]+", "_", name)
    return f"_{part}" if not part or part.startswith(".") else part


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; renamed to `path` when the block succeeds, removed when it fails.

    What a killed process has left in that folder is removed first (`io.partial`).

    Raises:
        OSError: The file cannot be written; names `path`, not the temporary one.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy_once(path.parent.absolute())
        unused = partial_path(path)
        unused.open("xb").close()  # with the mode of any new file: not every file system lets it be changed
        temporary = unused
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.strerror is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Return a name beside a file or folder for what will take its place (`io.partial`)."""
    return path.with_name(f"{prefix_of(path.name)}{secrets.token_hex(4)}{SUFFIX}")


def replace_folder(new: Path, folder: Path, ours: re.Pattern[str]) -> None:
    """Put a folder that is whole in the place of another, to be called by whoever is alone there.

    At every moment one of both is whole: the old one is renamed before it is removed, and after a kill between two
    renames `alone_in` names it as before.

    Args:
        new: The new folder, beside the other.
        folder: The place; nothing need be there.
        ours: Names of files that go with the old folder; others that lie in it are kept.
    """
    old = _replaced(folder)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    if old.exists():
        for path in old.iterdir():
            if not ours.fullmatch(path.name) and not (folder / path.name).exists():
                path.rename(folder / path.name)
        shutil.rmtree(old, ignore_errors=True)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def flush_to_disk(stream: IO[bytes]) -> None:
    """Wait until a file is on the disk, where the file system can say so.

    Raises:
        OSError: The disk fails.
    """
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


class Busy(UsageError):
    """Another process is doing this.

    Args:
        message: The line for the user.
        lock: The file that it holds until it has ended.
    """

    def __init__(self, message: str, lock: Path) -> None:
        super().__init__(message)
        self.lock = lock

    def __reduce__(self) -> tuple[type[Busy], tuple[str, Path]]:
        return Busy, (str(self), self.lock)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process, which is about to write there, until the block ends or the process is killed.

    Beside the folder lie `.NAME.lock` and `.NAME.holder` meanwhile. What a killed process has left half written below
    the folder is removed at the start, and what workers leave that are killed meanwhile at the end: never what another
    process still writes, on any machine (`io.partial`). Folders above that are made for it go again if they stay empty.
    Where the file system has no locks, nothing is held, and a warning says so.

    Raises:
        Busy: Another process holds it; says which.
    """
    from filelock import FileLock, Timeout

    place = folder.with_name(f".{folder.name}")
    made = [folder.parent, *(parent for parent in folder.parents[1:] if not parent.exists())]
    file, holder = Path(f"{place}.lock"), Path(f"{place}.holder")
    lock = FileLock(file, timeout=0)
    with ExitStack() as at_the_end:
        try:
            _acquire(lock, folder.parent)
        except Timeout as error:
            who = _read_holder(holder) or "another process"
            raise Busy(f"{folder}: {who} is writing there; run the same again when it has ended", file) from error
        except (NotImplementedError, OSError) as error:  # both are filelock's for a file system that has no locks
            if not isinstance(error, OSError) or error.errno in NOT_OFFERED:
                line = "%s: this file system has no locks (%s): do not let two commands write there at once"
                logging.getLogger(__name__).warning(line, folder, cause(error))
                _unlinked(file)
        else:
            at_the_end.callback(_removed_if_empty, made)
            at_the_end.callback(lock.release)
            at_the_end.callback(_unlinked, file, holder)
            with suppress(OSError):  # a full disk: what needs more than a line will say so
                holder.write_text(f"process {os.getpid()} on {platform.node()} (since {utc_now()})", encoding="utf-8")
        remove_abandoned(folder, deep=True)
        if _replaced(folder).exists() and not folder.exists():
            _replaced(folder).rename(folder)
        shutil.rmtree(_replaced(folder), ignore_errors=True)
        at_the_end.callback(remove_abandoned, folder, deep=True)
        yield


@contextmanager
def locked(file: Path, wait: Callable[[], None] | None) -> Iterator[None]:
    """Hold a lock file, which is removed at the end, until the block ends or the process is killed.

    Where the file system has no locks, nothing is held.

    Args:
        file: The lock file; its folder is there.
        wait: Called once where another process holds it and this one waits. None: not to wait.

    Raises:
        Busy: Another process holds it, and this one is not to wait.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file, timeout=0)
    with ExitStack() as at_the_end:
        try:
            try:
                _acquire(lock, file.parent)
            except Timeout as error:
                if wait is None:
                    raise Busy(f"{file}: another process holds it", file) from error
                wait()
                lock.acquire(timeout=-1, poll_interval=0.5)
        except (NotImplementedError, OSError) as error:
            if not isinstance(error, OSError) or error.errno in NOT_OFFERED:
                _unlinked(file)
        else:
            at_the_end.callback(lock.release)
            at_the_end.callback(_unlinked, file)
        yield


def is_locked(file: Path) -> bool:
    """Return whether another process holds a lock file now."""
    if not file.exists():
        return False
    try:
        with locked(file, None):
            return False
    except Busy:
        return True


def lock_fault(folder: Path) -> str | None:
    """Return why locks in a folder, which can be written, do not keep two commands apart; None where they do."""
    from filelock import FileLock, Timeout

    file = folder / f"{prefix_of('locks')}{secrets.token_hex(4)}{SUFFIX}"
    first, second = FileLock(file, timeout=0), FileLock(file, timeout=0)
    try:
        _acquire(first, folder)
        try:
            _acquire(second, folder)
        except Timeout:
            return None
        finally:
            second.release()
        return "a second command gets a lock that the first one holds"
    except (NotImplementedError, OSError) as error:
        return f"this file system has no locks ({cause(error)})"
    finally:
        first.release()
        _unlinked(file)


def _acquire(lock: BaseFileLock, parent: Path) -> None:
    for left in reversed(range(TRIES)):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings(action="ignore"):  # ENOSYS: it locks by the file's being there, which will do
                lock.acquire()
        except (FileNotFoundError, FileExistsError):  # whoever ended just now took the empty parent away
            if not left:
                raise
        else:
            return


def _read_holder(file: Path) -> str:
    with suppress(OSError):  # it may go away at any moment
        return file.read_text(encoding="utf-8")
    return ""


def _removed_if_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the innermost first, up to one that is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _unlinked(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with LF line ends."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings.

    Raises:
        StarsBenchError: It cannot be read, is no regular file, is too large, or is not TOML; one line that names it.
    """
    try:
        refuse_odd(path, LARGEST_TOML)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StarsBenchError(f"{path}: there is no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StarsBenchError(f"{path}: cannot be read ({error})") from error


def utc_now() -> str:
    """Return the time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def code_state() -> dict[str, Any]:
    """Return version, git commit and dirtiness of the code that runs; commit None outside a checkout."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(PACKAGE), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # A site-packages folder inside somebody's repository is not a checkout of this package.
    tracked = git("ls-files", "--error-unmatch", "__init__.py")
    commit = git("rev-parse", "HEAD") if tracked else None
    dirty = bool(git("status", "--porcelain", "--", str(PACKAGE))) if commit else None
    return {"version": __version__, "commit": commit, "dirty": dirty}


def environment(device: str) -> dict[str, Any]:
    """Return Python, platform, versions of the packages that matter, and the device (a string the caller knows)."""
    packages = {}
    for name in REPORTED_PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": packages,
        "device": device,
    }
