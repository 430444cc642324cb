"""The lengths of calls follow from the time that the last one took."""

from jcnn.engine import Pacer, _pacing


def run(monkeypatch, pacer, seconds_per_step, first, stop, window=10**9):
    """Return `(first, stop, seconds)` of each call on a clock that only training advances."""
    now = [0.0]
    monkeypatch.setattr(_pacing.time, "perf_counter", lambda: now[0])

    def train(first, stop):
        reached = min(stop, first + window)
        now[0] += (reached - first) * seconds_per_step
        return reached

    return [tuple(call) for call in pacer.calls(train, first, stop)]


def test_calls_grow_to_the_target_and_carry_over_to_the_next_epoch(monkeypatch):
    pacer = Pacer(seconds=1.0, steps=2)
    assert run(monkeypatch, pacer, 0.125, 0, 15) == [(0, 2, 0.25), (2, 10, 1.0), (10, 15, 0.625)]
    assert run(monkeypatch, pacer, 0.125, 0, 15)[0] == (0, 8, 1.0)


def test_slow_steps_are_called_one_by_one(monkeypatch):
    calls = run(monkeypatch, Pacer(seconds=1.0, steps=3), 4.0, 0, 6)
    assert [call[:2] for call in calls] == [(0, 3), (3, 4), (4, 5), (5, 6)]


def test_a_call_may_reach_less_than_it_was_asked_for(monkeypatch):
    calls = run(monkeypatch, Pacer(seconds=1.0, steps=100), 0.125, 4, 10, window=3)
    assert [call[:2] for call in calls] == [(4, 7), (7, 10)]


def test_nothing_is_called_for_an_empty_range(monkeypatch):
    assert run(monkeypatch, Pacer(seconds=1.0, steps=5), 1.0, 7, 7) == []
