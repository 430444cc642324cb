"""Study files: errors, a round trip, and hostile content."""

import contextlib
import json
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jcnn
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.storage.directory import StudyDirectory
from jcnn.study.toml import KEYS, read_study
from tests.small import blobs, linear


def test_study_files(tmp_path):
    assert set(KEYS) == {field for field in Study.__dataclass_fields__}
    path = tmp_path / "s.toml"
    for text, message in (
        ("epocs = 3", "did you mean epochs"),
        ("epochs = ", "is not a TOML file"),
        ("factors = 3", "must be a table"),
        ("data = 3", "must be a string"),
        ("gradient_clip = 'a'", "gradient_clip='a'; expected a positive norm"),
        ("warmup_steps = 1.5", "warmup_steps=1.5; expected a whole number"),
        ("seeds = 1.5", "seeds=1.5; expected a whole number"),
        ("learning_rates = [[0.1]]", "expected positive numbers"),
        ("learning_rates = [true]", "expected positive numbers"),
        ("[factors]\noptimizer = [1]", "optimizer=1; expected a name"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=f"s.toml.*{message}"):
            read_study(path)


def test_a_study_file_gives_back_what_it_was_written_from(tmp_path):
    factors = {
        "width": [4, 8],
        "flag": [True, False],
        "hidden": [(8,), (16, 8)],
        "activation": ["relu", jcnn.activations.tanh],
        "kernel_init": ["normal:0.01"],
        "momentum": [0.9],
    }
    study = Study(factors=factors, seeds=[3, 5])
    assert study.unreadable() == []
    output = StudyDirectory(tmp_path / "o")
    output.write_study(study.describe(), study.unreadable())
    again = Study(**read_study(tmp_path / "o" / "study.toml"))
    assert again.describe() == study.describe()
    for mine, theirs in zip(study.combinations, again.combinations, strict=True):
        assert mine.names() == theirs.names()
        for factor in ("width", "flag", "hidden", "activation", "momentum"):
            assert mine.value(factor) == theirs.value(factor)
    own = Study(data=blobs(), model=linear, factors={"kernel_init": {"mine": lambda *a: None}})
    assert own.unreadable() == ["data", "kernel_init=mine"]


def test_values_of_numpy_and_names_in_mappings_are_taken():
    study = Study(
        seeds=np.int64(2),
        epochs=np.int64(1),
        learning_rates=(rate for rate in (0.1, 0.01)),
        factors={"width": np.array([2, 4]), "activation": {"mine": "tanh"}},
    )
    assert (study.seed_values, study.learning_rates) == ([0, 1], (0.1, 0.01))
    assert [level.value for level in study.levels["width"]] == [2, 4]
    assert study.levels["activation"][0].value is jcnn.activations.tanh


WORDS = st.text(string.ascii_letters + string.digits + "_-:.,[]{}\"'=# \n", max_size=12)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.sampled_from(["relu", "8"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def spelled(value):
    """As TOML would have it, or nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {spelled(v)}" for k, v in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str) else str(value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(st.sampled_from(KEYS) | WORDS, VALUES, max_size=5))
def test_a_study_file_is_valid_or_a_usage_error(tmp_path, content):
    path = tmp_path / "study.toml"
    lines = [f"{key} = {spelled(value)}" for key, value in content.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(UsageError):
        Study(**read_study(path))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_study_file_are_valid_or_a_usage_error(tmp_path, content):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with contextlib.suppress(UsageError):
        Study(**read_study(path))
