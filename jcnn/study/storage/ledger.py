"""The ledger: one row per finished run in SQLite, under a key of everything that determines it."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jcnn.engine import Outcome
from jcnn.study.storage.atomic_files import StorageError, check_regular, sync_directory
from jcnn.study.storage.run_key import digest

NAME = "ledger.sqlite"
DAMAGED = "ledger.damaged.sqlite"
_TABLE = """runs (
    key text primary key,
    run text not null,
    outcome text not null,
    digest text not null
)"""
_SCHEMA = [
    ("table", "runs", f"CREATE TABLE {_TABLE}"),
    ("index", "sqlite_autoindex_runs_1", None),
]
_COUNT = "select count(*) from runs"
# What SQLite raises for a damaged file: its own errors, or text that cannot be decoded.
_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
# The least number of bytes of a row: its key and its digest.
_LEAST_ROW = 128
# The time that a process waits for another one that writes.
_WAIT_SECONDS = 60
# Values are no longer than the file, or than this.
_LEAST_LENGTH = 10**6
# The most instructions of SQLite's virtual machine that reading may take, and how many of them are
# between two checks. Reading an intact ledger takes 0.1 per byte; what damaged bytes demand is
# unbounded (pages that refer to each other, a view in place of the table).
_LEAST_INSTRUCTIONS, _INSTRUCTIONS_PER_BYTE, _CHECKED_EVERY = 10**6, 10, 10**4


class Ledger:
    """The finished runs of a directory. Each call opens the file and closes it again.

    A row holds the run's key, its levels, learning rate and seed in readable form, its outcome, and
    a digest of all of them. Rows whose digest does not match are not used: `notes` report it, and
    the damaged file is kept under another name. Rows are written in one transaction, which is on
    the disk when `add` returns.

    Raises StorageError if the file cannot be read or written.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        """Open or create the ledger; if it is damaged, rebuild it from the rows that verify."""
        self.path = directory / NAME
        self.notes: list[str] = []
        check_regular(self.path)
        if read_only:
            return
        with self._locked():
            if not self.path.exists():
                self._replace({})
                return
            rows, whole = self._verified()
            if not whole or not _is_writable(self.path):
                self._rebuild(rows | self._salvaged())

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The outcomes of the finished runs among `keys`."""
        rows, _ = self._verified()
        return {key: Outcome.from_dict(json.loads(rows[key][1])) for key in keys if key in rows}

    def runs(self) -> list[dict[str, Any]]:
        """Every finished run: its levels, learning rate, seed and outcome."""
        rows, _ = self._verified()
        return [json.loads(run) | {"outcome": json.loads(out)} for run, out in rows.values()]

    def add(self, finished: Sequence[tuple[str, Mapping[str, Any], Outcome]]) -> None:
        """Store finished runs: all, or none on failure. Runs that are stored already stay."""
        rows = {
            key: (json.dumps(run), json.dumps(outcome.to_dict())) for key, run, outcome in finished
        }
        if not self.path.exists():
            raise StorageError(
                f"{self.path} was removed: {len(rows)} finished runs could not be stored"
            )
        with self._locked():
            _insert(self.path, rows)

    def _verified(self) -> tuple[dict[str, tuple[str, str]], bool]:
        """The rows that verify, and whether they are all the rows that the file should hold."""
        rows: dict[str, tuple[str, str]] = {}
        try:
            with _transaction(self.path, write=False) as file:
                whole = file.execute("pragma integrity_check").fetchall() == [("ok",)]
                schema = file.execute("select type, name, sql from sqlite_schema limit 3")
                whole = schema.fetchall() == _SCHEMA and whole
                (last,) = file.execute("select max(rowid) from runs").fetchone()
                # Rows are numbered from 1, but a damaged number can be any.
                most = min(last or 0, self.path.stat().st_size // _LEAST_ROW)
                whole = _read(file, most, rows) and whole
                # Counting takes no instructions, so it is safe only in a file without faults.
                whole = whole and file.execute(_COUNT).fetchone() == (len(rows),)
                return rows, whole
        except _DAMAGE as error:
            if _is_storage(error, self.path):
                raise StorageError(f"cannot read {self.path}: {error}") from error
            return rows, False
        except FileNotFoundError as error:
            raise StorageError(f"{self.path} was removed; nothing can be read from it") from error

    def _salvaged(self) -> dict[str, tuple[str, str]]:
        """The rows that verify in a file that SQLite may refuse to open.

        The first page is the same in every ledger except for counts, so the first page of an empty
        ledger replaces it; the rows are in the other pages.
        """
        temporary = self.path.with_name(f".{NAME}.salvaged")
        temporary.unlink(missing_ok=True)
        _insert(temporary, {})
        content = temporary.read_bytes()
        page = int.from_bytes(content[16:18], "big")
        repaired = bytearray(content[:page] + self.path.read_bytes()[page:])
        repaired += bytes(-len(repaired) % page)
        repaired[28:32] = (len(repaired) // page).to_bytes(4, "big")
        temporary.write_bytes(repaired)
        rows: dict[str, tuple[str, str]] = {}
        try:
            with _transaction(temporary, write=False) as file:
                _read(file, len(repaired) // _LEAST_ROW, rows)
        except _DAMAGE:
            pass  # the rows that were read before the error are used
        temporary.unlink()
        return rows

    def _rebuild(self, rows: Mapping[str, tuple[str, str]]) -> None:
        damaged = self.path.with_name(DAMAGED)
        damaged.unlink(missing_ok=True)
        os.link(self.path, damaged)
        self._replace(rows)
        self.notes.append(
            f"{NAME} was damaged: {len(rows)} runs could be read and were kept, the others are "
            f"trained again; the damaged file is {DAMAGED}"
        )

    def _replace(self, rows: Mapping[str, tuple[str, str]]) -> None:
        """Replace the ledger atomically by a new file with these rows."""
        temporary = self.path.with_name(f".{NAME}.new")
        for name in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            name.unlink(missing_ok=True)
        _insert(temporary, rows)
        # A journal belongs to the file that is replaced.
        self.path.with_name(f"{NAME}-journal").unlink(missing_ok=True)
        os.replace(temporary, self.path)
        sync_directory(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self.path.with_name(".ledger.lock"))
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
        except Timeout as error:
            raise StorageError(
                f"cannot write in {self.path.parent}: another process has kept {lock.lock_file} "
                f"locked for {_WAIT_SECONDS} s; end or resume it"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot write in {self.path.parent}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()


def _insert(path: Path, rows: Mapping[str, tuple[str, str]]) -> None:
    try:
        with _transaction(path, write=True) as file:
            file.execute(f"create table if not exists {_TABLE}")
            file.executemany(
                "insert or ignore into runs values (?, ?, ?, ?)",
                [(key, *texts, digest((key, *texts))) for key, texts in rows.items()],
            )
    except _DAMAGE as error:
        raise StorageError(
            f"cannot write {path}: {error}; the runs stored before are unaffected"
        ) from error


@contextmanager
def _transaction(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction, which is rolled back if the block raises."""
    size = path.stat().st_size if not write else 0
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as file:
        if not write:
            _bound(file, size)
        file.execute("pragma synchronous = extra")
        file.execute("begin immediate" if write else "begin")
        yield file
        file.execute("commit")


def _bound(file: sqlite3.Connection, size: int) -> None:
    """Make statements fail that take more time or memory than a file of `size` bytes needs."""
    checks = (_LEAST_INSTRUCTIONS + _INSTRUCTIONS_PER_BYTE * size) // _CHECKED_EVERY
    # A function of C: in one of Python a signal would be handled, and its exception lost.
    file.set_progress_handler(chain(repeat(0, checks), repeat(1)).__next__, _CHECKED_EVERY)
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, _LEAST_LENGTH))


def _is_storage(error: Exception, path: Path) -> bool:
    """Whether the disk is at fault (full, locked, not readable) and not the file's content."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_READONLY"):
        return not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK)
    return name.startswith(("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR"))


def _is_writable(path: Path) -> bool:
    """Whether SQLite can write the file; a damaged one may claim to be read-only."""
    try:
        with _transaction(path, write=True) as file:
            file.execute("delete from runs where false")
            return True
    except _DAMAGE as error:
        if _is_storage(error, path):
            raise StorageError(f"cannot write {path}: {error}") from error
        return False


def _read(file: sqlite3.Connection, most: int, rows: dict[str, tuple[str, str]]) -> bool:
    """Add those of the first `most` rows that verify to `rows`; return whether all did.

    Each row is looked up separately, so that a damaged page does not hide rows on other pages.
    """
    whole = True
    for rowid in range(1, most + 1):
        try:
            row = file.execute(
                "select key, run, outcome, digest from runs where rowid = ?", (rowid,)
            ).fetchone()
        except _DAMAGE as error:
            whole = False
            if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                break
            continue
        if row is None:
            continue
        if all(isinstance(text, str) for text in row) and digest(row[:3]) == row[3]:
            rows[row[0]] = (row[1], row[2])
        else:
            whole = False
    return whole
