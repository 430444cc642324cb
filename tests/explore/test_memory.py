"""Compiled programs of the explorer are dropped when the process has grown too much."""

import jax
import pytest

from jcnn.explore import memory
from jcnn.explore.choice import Choice
from jcnn.explore.memory import ProgramMemory, resident_bytes
from jcnn.explore.subject import load_subject
from jcnn.explore.trainer import Trainer, _step


@pytest.fixture(scope="module")
def subject():
    return load_subject("digits", None)


@pytest.fixture
def programs():
    """A function that adds a number of compiled programs."""
    functions = []

    def add(count):
        for i in range(count):
            functions.append(jax.jit(lambda x, i=i: x + i))
            functions[-1](1.0)
        return functions[-1]

    return add


def test_resident_memory_is_that_of_the_process():
    before = resident_bytes()
    block = bytearray(b"x" * 10**8)
    assert 0.9 * len(block) < resident_bytes() - before < 3 * len(block)


def test_programs_are_dropped_when_the_process_has_grown(monkeypatch, programs):
    monkeypatch.setattr(memory, "PROGRAMS", 3)
    limited = ProgramMemory()
    function = programs(3)
    limited.limit()
    assert (limited.drops, function._cache_size()) == (0, 1)  # it has not grown
    monkeypatch.setattr(memory, "GROWTH", -(10**12))
    limited.limit()
    assert (limited.drops, function._cache_size()) == (1, 0)
    assert function(1.0) == 3.0
    limited.limit()
    assert limited.drops == 1  # too few programs since: they are not what takes the memory
    programs(3)
    limited.limit()
    assert limited.drops == 2


def test_without_a_known_memory_the_number_of_programs_decides(monkeypatch, programs):
    monkeypatch.setattr(memory, "PROGRAMS", 3)
    monkeypatch.setattr(memory, "resident_bytes", lambda: None)
    limited = ProgramMemory()
    limited.limit()
    assert limited.drops == 0
    programs(3)
    limited.limit()
    assert limited.drops == 1


def test_a_training_goes_on_without_being_compiled_again(monkeypatch, subject):
    trainer = Trainer(subject, Choice(depth=1, width=4), lambda: 0.1)
    trainer.train(0, 1)
    trainer.train(1, 2)
    monkeypatch.setattr(memory, "PROGRAMS", 0)
    monkeypatch.setattr(memory, "GROWTH", -(10**12))
    ProgramMemory().limit()
    assert _step.cache_info().currsize == 0

    def compiled(*_, **__):
        raise AssertionError("compiled again")

    with monkeypatch.context() as patched:
        patched.setattr("jcnn.training.advance", compiled)
        trainer.train(2, 4)
    assert trainer.progress.step == 4


def test_networks_of_one_structure_share_a_compiled_step(subject):
    first, second = (
        Trainer(subject, Choice(depth=1, width=4, seed=seed), lambda: 0.1) for seed in (0, 1)
    )
    assert first._compiled is second._compiled
    first.train(0, 2)
    second.train(0, 2)
    assert first.progress.loss != second.progress.loss
