"""Ledgers whose damage, or whose kind of file, would make SQLite or a reader wait forever."""

import os
import sqlite3
import struct
from contextlib import closing

import pytest
from filelock import FileLock

from jcnn import engine
from jcnn.cli.main import main
from jcnn.errors import UsageError
from jcnn.study.storage import ledger as module
from jcnn.study.storage.atomic_files import StorageError
from jcnn.study.storage.ledger import DAMAGED, NAME, Ledger
from jcnn.study.storage.load import read_result, summary
from tests.hanging import must_end  # noqa: F401

pytestmark = pytest.mark.usefixtures("must_end")
KEYS = [f"key{i}" for i in range(5)]


def filled(directory):
    Ledger(directory).add([(key, {"seed": 0}, engine.Outcome()) for key in KEYS])
    return directory / NAME


def change(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


def number_a_row_far_beyond_the_others(path):
    change(path, "update runs set rowid = 28361581225 where key = 'key4'")


def number_a_row_far_below_the_others(path):
    change(path, "update runs set rowid = -28361581225 where key = 'key4'")


def replace_the_table_by_a_view_without_end(path):
    change(
        path,
        "alter table runs rename to others",
        """create view runs as with recursive n(i) as (select 1 union all select i + 1 from n)
        select i as rowid, 'a' as key, 'b' as run, 'c' as outcome, 'd' as digest from n""",
    )


def let_every_insertion_run_without_end(path):
    change(
        path,
        """create trigger endless after insert on runs begin
        select count(*) from runs a, runs b, runs c, runs d, runs e, runs f, runs g, runs h,
        runs i, runs j, runs k, runs l, runs m, runs n, runs o, runs p, runs q, runs r; end""",
    )


def point_every_child_of_a_page_to_the_same_page(path):
    """Make the index a tree of 18 levels of 100 equal branches, which are 100^18 ways to a leaf."""
    page, levels, branches = 4096, 18, 100
    with closing(sqlite3.connect(path)) as file:
        (root,) = file.execute("select rootpage from sqlite_schema where type = 'index'").fetchone()
    content = bytearray(path.read_bytes())
    pages = [root, *range(len(content) // page + 1, len(content) // page + levels + 1)]
    content += bytes(levels * page)
    record = bytes([5, 3, 15, 1, ord("a"), 1])
    for number, child in zip(pages, [*pages[1:], 0], strict=True):
        cell = struct.pack(">I", child) + record if child else record
        many = branches if child else 1
        places = [page - len(cell) * (i + 1) for i in range(many)]
        header = struct.pack(">BHHHB", 2 if child else 10, 0, many, places[-1], 0)
        header += struct.pack(">I", child) if child else b""
        header += struct.pack(f">{many}H", *places)
        start = (number - 1) * page
        body = header.ljust(places[-1], b"\0") + cell * many
        content[start : start + page] = body
    content[28:32] = struct.pack(">I", len(content) // page)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (number_a_row_far_beyond_the_others, 4),
        (number_a_row_far_below_the_others, 4),
        (replace_the_table_by_a_view_without_end, 5),
        (let_every_insertion_run_without_end, 5),
        (point_every_child_of_a_page_to_the_same_page, 5),
    ],
)
def test_a_ledger_that_demands_work_without_end_is_mended(damage, kept, tmp_path):
    damage(filled(tmp_path))
    damaged = (tmp_path / NAME).read_bytes()
    assert set(Ledger(tmp_path, read_only=True).outcomes(KEYS)) <= set(KEYS)
    assert (tmp_path / NAME).read_bytes() == damaged  # reading changes nothing
    ledger = Ledger(tmp_path)
    assert f"was damaged: {kept} runs could be read" in ledger.notes[0]
    assert len(ledger.outcomes(KEYS)) == kept
    assert (tmp_path / DAMAGED).read_bytes() == damaged
    ledger.add([("new", {}, engine.Outcome())])
    again = Ledger(tmp_path)
    assert not again.notes
    assert len(again.outcomes([*KEYS, "new"])) == kept + 1


def test_an_intact_ledger_of_many_runs_is_within_the_limits(tmp_path):
    keys = [f"key{i}" for i in range(3000)]
    ledger = Ledger(tmp_path)
    ledger.add([(key, {}, engine.Outcome()) for key in keys])
    assert (tmp_path / NAME).stat().st_size > 500_000
    assert len(Ledger(tmp_path).outcomes(keys)) == 3000
    assert not Ledger(tmp_path).notes


@pytest.mark.parametrize("read_only", [True, False])
def test_a_pipe_in_place_of_a_ledger_is_refused(read_only, tmp_path):
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(StorageError, match=f"{NAME} is not a regular file; remove it"):
        Ledger(tmp_path, read_only=read_only)
    assert summary(tmp_path)["state"] == "damaged"


@pytest.mark.parametrize("name", ["results.json", "environment.json", "study.toml"])
def test_a_pipe_in_place_of_another_file_of_a_study_is_refused(name, tmp_path):
    filled(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=r"results.json"):
        read_result(tmp_path)
    assert summary(tmp_path)["state"] == "damaged"


def test_a_pipe_in_place_of_the_study_file_of_a_directory_is_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / "study.toml")
    assert main(["compare", str(tmp_path)]) == 1
    assert "study.toml is not a regular file; remove it" in capsys.readouterr().err


def test_a_ledger_that_another_process_keeps_locked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
    ledger = Ledger(tmp_path)
    with (
        FileLock(tmp_path / ".ledger.lock"),
        pytest.raises(StorageError, match=r"another process has kept .*lock locked for 0.05 s"),
    ):
        ledger.add([("new", {}, engine.Outcome())])


def test_a_removed_ledger_is_an_error_and_is_not_made_by_reading(tmp_path):
    ledger = Ledger(tmp_path)
    (tmp_path / NAME).unlink()
    with pytest.raises(StorageError, match="was removed"):
        ledger.outcomes(KEYS)
    assert not (tmp_path / NAME).exists()
