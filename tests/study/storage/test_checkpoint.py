"""Checkpoints: two generations, and no damaged one is used."""

import shutil

import numpy as np
import pytest

from jcnn import engine
from jcnn.study.storage.checkpoint import Checkpoints
from tests.slow import short_first


def snapshots(directory, count):
    kept = Checkpoints(directory)
    for number in range(count):
        kept.keep(engine.Snapshot([np.arange(3) + number, np.ones((), np.uint32)], {"n": number}))
    return kept


def test_checkpoints_keep_two_generations_and_give_the_newest(tmp_path):
    assert Checkpoints(tmp_path / "c").newest() is None
    kept = snapshots(tmp_path / "c", 4)
    newest = kept.newest()
    assert newest.place["n"] == 3
    np.testing.assert_array_equal(newest.arrays[0], [3, 4, 5])
    assert newest.arrays[1].dtype == np.uint32
    names = sorted(p.name for p in (tmp_path / "c").iterdir())
    assert names == ["000003", "000004", "manifest.json"]
    kept.remove()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("harm", short_first(["cut", "flipped", "gone"]))
def test_a_checkpoint_with_any_file_flipped_or_cut_is_not_used(harm, tmp_path):
    snapshots(tmp_path / "whole", 2)
    files = [p for p in (tmp_path / "whole").rglob("*") if p.is_file() and p.stat().st_size]
    assert len(files) > 5
    for path in files:
        shutil.copytree(tmp_path / "whole", tmp_path / "harmed")
        harmed = tmp_path / "harmed" / path.relative_to(tmp_path / "whole")
        content = bytearray(harmed.read_bytes())
        content[len(content) // 2] ^= 0xFF
        if harm == "gone":
            harmed.unlink()
        else:
            harmed.write_bytes(content if harm == "flipped" else content[:-1])
        newest = Checkpoints(tmp_path / "harmed").newest()
        expected = {"manifest.json": None, "000001": 1, "000002": 0}[
            path.relative_to(tmp_path / "whole").parts[0]
        ]
        assert (newest and newest.place["n"]) == expected, (path, harm)
        snapshots(tmp_path / "harmed", 1)
        assert Checkpoints(tmp_path / "harmed").newest().place["n"] == 0
        shutil.rmtree(tmp_path / "harmed")


def test_a_checkpoints_place_is_verified_too(tmp_path):
    snapshots(tmp_path / "c", 2)
    manifest = tmp_path / "c" / "manifest.json"
    assert '"n": 1' in manifest.read_text()
    manifest.write_text(manifest.read_text().replace('"n": 1', '"n": 7'))
    assert Checkpoints(tmp_path / "c").newest() is None
