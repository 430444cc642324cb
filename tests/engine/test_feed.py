"""Examples that come in windows: the same numbers as examples that are all in memory."""

import pytest

from jcnn import engine
from jcnn.study import Study
from tests.small import SMALL


@pytest.mark.parametrize("memory", [60_000, 40_000])
def test_streaming_changes_no_number(memory, monkeypatch):
    """Digits are 110 kB as uint8, held-out examples included: here they come in windows."""
    windows = []
    window = engine._feed.Streamed._window
    monkeypatch.setattr(
        engine._feed.Streamed,
        "_window",
        lambda self, chosen: windows.append(len(chosen)) or window(self, chosen),
    )
    keywords = {**SMALL, "factors": {"activation": ["tanh"]}, "model": "mlp", "seeds": 3}
    whole = Study(**keywords).run()
    assert not windows
    streamed = Study(data_memory=memory, **keywords).run()
    assert len(windows) > 2
    assert max(windows) * 64 < memory
    assert [r.outcome for r in streamed.records] == [r.outcome for r in whole.records]
    with pytest.raises(ValueError, match="give more, or use smaller batches"):
        Study(data_memory=10_000, **keywords).run()


def test_a_pause_anywhere_resumes_to_the_bit(monkeypatch):
    """Also one at the end of an epoch, after which evaluation comes first."""
    monkeypatch.setattr(engine._training, "FIRST_CALL", 3)
    monkeypatch.setattr(engine._training, "SECONDS_PER_CALL", 1e-9)
    keywords = {**SMALL, "factors": {"activation": ["tanh"]}, "model": "mlp", "epochs": 2}
    study = Study(data_memory=40_000, **keywords)
    compiled = study.jobs(study.prepare())[0].compile()
    whole = engine.Training(compiled)
    snapshots = [whole.snapshot(), *(whole.snapshot() for _ in whole.run())]
    ends = [i for i, each in enumerate(snapshots) if each.place["done"] == compiled.steps_per_epoch]
    assert ends
    for i in {*ends, *range(0, len(snapshots), 4)}:
        again = study.jobs(study.prepare())[0].compile()  # with a feed that has read nothing
        resumed = engine.Training(again, snapshots[i])
        for _ in resumed.run():
            pass
        assert resumed.outcomes == whole.outcomes
