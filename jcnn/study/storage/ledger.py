"""The ledger: one row for every finished run, in SQLite, keyed by what determined the run."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from jcnn.engine import Outcome
from jcnn.study.storage.atomic_files import StorageError, sync_directory
from jcnn.study.storage.run_key import digest

NAME = "ledger.sqlite"
DAMAGED = "ledger.damaged.sqlite"
_SCHEMA = """create table if not exists runs (
    key text primary key,
    run text not null,
    outcome text not null,
    digest text not null
)"""
# What SQLite raises for a damaged file: its own errors, or a message that is not text.
_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
# Bytes that a row takes at least: its key and digest.
_LEAST_ROW = 128
# How long a reader waits for a process that is writing.
_WAIT_SECONDS = 60


class Ledger:
    """The finished runs of a directory; each call opens the file anew, and leaves it closed.

    A row is its run's key, its levels, rate and seed as people read them, its outcome, and a digest
    of all that. Rows that do not verify are not used: `notes` say so, and the damaged file is put
    aside. Rows are written in one transaction, which is on the disk when `add` returns.

    Raises StorageError where the file cannot be read or written.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        """Open or create the ledger; mend it from what verifies where it is damaged."""
        self.path = directory / NAME
        self.notes: list[str] = []
        if read_only:
            return
        with self._locked():
            if not self.path.exists():
                self._replace({})
                return
            rows, whole = self._verified()
            if not whole or not _is_writable(self.path):
                self._mend(rows | self._salvaged())

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The outcomes of those of `keys` that are finished."""
        rows, _ = self._verified()
        return {key: Outcome.from_dict(json.loads(rows[key][1])) for key in keys if key in rows}

    def runs(self) -> list[dict[str, Any]]:
        """Every finished run: its levels, rate and seed, and its outcome."""
        rows, _ = self._verified()
        return [json.loads(run) | {"outcome": json.loads(out)} for run, out in rows.values()]

    def add(self, finished: Sequence[tuple[str, Mapping[str, Any], Outcome]]) -> None:
        """Keep finished runs: all of them, or none where this fails. A run kept already stays."""
        rows = {
            key: (json.dumps(run), json.dumps(outcome.to_dict())) for key, run, outcome in finished
        }
        if not self.path.exists():
            raise StorageError(f"{self.path} has gone: {len(rows)} finished runs could not be kept")
        with self._locked():
            _insert(self.path, rows)

    def _verified(self) -> tuple[dict[str, tuple[str, str]], bool]:
        """The rows that verify, and whether that is all that the file should hold."""
        rows: dict[str, tuple[str, str]] = {}
        try:
            with _transaction(self.path, "begin") as file:
                whole = file.execute("pragma integrity_check").fetchall() == [("ok",)]
                (last,) = file.execute("select max(rowid) from runs").fetchone()
                return rows, _read(file, last or 0, rows) and whole
        except _DAMAGE as error:
            if _is_storage(error, self.path):
                raise StorageError(f"cannot read {self.path}: {error}") from error
            return rows, False

    def _salvaged(self) -> dict[str, tuple[str, str]]:
        """Rows that verify of a file that SQLite may refuse to open.

        The first page of every ledger is alike but for counts, so that of an empty one takes its
        place; the rows are in the others.
        """
        aside = self.path.with_name(f".{NAME}.salvaged")
        aside.unlink(missing_ok=True)
        _insert(aside, {})
        content = aside.read_bytes()
        page = int.from_bytes(content[16:18], "big")
        found = bytearray(content[:page] + self.path.read_bytes()[page:])
        found += bytes(-len(found) % page)
        found[28:32] = (len(found) // page).to_bytes(4, "big")
        aside.write_bytes(found)
        rows: dict[str, tuple[str, str]] = {}
        try:
            with _transaction(aside, "begin") as file:
                _read(file, len(found) // _LEAST_ROW, rows)
        except _DAMAGE:
            pass  # what was read before is what there is
        aside.unlink()
        return rows

    def _mend(self, rows: Mapping[str, tuple[str, str]]) -> None:
        damaged = self.path.with_name(DAMAGED)
        damaged.unlink(missing_ok=True)
        os.link(self.path, damaged)
        self._replace(rows)
        self.notes.append(
            f"{NAME} was damaged: the {len(rows)} runs in it that verify were kept, others are "
            f"trained again; the damaged file is {DAMAGED}"
        )

    def _replace(self, rows: Mapping[str, tuple[str, str]]) -> None:
        """Put a new file of these rows in the ledger's place, whole or not at all."""
        aside = self.path.with_name(f".{NAME}.new")
        for name in (aside, aside.with_name(f"{aside.name}-journal")):
            name.unlink(missing_ok=True)
        _insert(aside, rows)
        # A journal belongs to the file that it stood beside.
        self.path.with_name(f"{NAME}-journal").unlink(missing_ok=True)
        os.replace(aside, self.path)
        sync_directory(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self.path.with_name(".ledger.lock"))
        try:
            lock.acquire()
        except OSError as error:
            raise StorageError(f"cannot write in {self.path.parent}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()


def _insert(path: Path, rows: Mapping[str, tuple[str, str]]) -> None:
    try:
        with _transaction(path, "begin immediate") as file:
            file.execute(_SCHEMA)
            file.executemany(
                "insert or ignore into runs values (?, ?, ?, ?)",
                [(key, *texts, digest((key, *texts))) for key, texts in rows.items()],
            )
    except _DAMAGE as error:
        raise StorageError(f"cannot write {path}: {error}; what it held before is kept") from error


@contextmanager
def _transaction(path: Path, begin: str) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction, rolled back where the block raises."""
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as file:
        file.execute("pragma synchronous = extra")
        file.execute(begin)
        yield file
        file.execute("commit")


def _is_storage(error: Exception, path: Path) -> bool:
    """Whether the place is at fault (full, locked, not readable) rather than the file's bytes."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_READONLY"):
        return not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK)
    return name.startswith(("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR"))


def _is_writable(path: Path) -> bool:
    """Whether the file says that it may be written, which a damaged one may not."""
    try:
        with _transaction(path, "begin immediate") as file:
            file.execute("delete from runs where false")
            return True
    except _DAMAGE as error:
        if _is_storage(error, path):
            raise StorageError(f"cannot write {path}: {error}") from error
        return False


def _read(file: sqlite3.Connection, last: int, rows: dict[str, tuple[str, str]]) -> bool:
    """Add the rows that verify; whether all did. One lookup each: a bad page hides no others."""
    whole = True
    for rowid in range(1, last + 1):
        try:
            row = file.execute(
                "select key, run, outcome, digest from runs where rowid = ?", (rowid,)
            ).fetchone()
        except _DAMAGE:
            whole = False
            continue
        if row is None:
            continue
        if all(isinstance(text, str) for text in row) and digest(row[:3]) == row[3]:
            rows[row[0]] = (row[1], row[2])
        else:
            whole = False
    return whole
