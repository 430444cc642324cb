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
