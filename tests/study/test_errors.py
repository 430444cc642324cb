"""Studies that cannot run: errors before training, and combinations that fail alone."""

import json

import jax.numpy as jnp
import pytest

import jcnn
from jcnn import layers
from jcnn.study import Study
from tests.small import linear, study


def flat_model(*, rngs):
    return layers.Flatten()


def not_a_module(input_shape, outputs):
    return lambda x: jnp.zeros((len(x), outputs))


def leaving(input_shape, outputs):
    raise SystemExit(7)


def test_nothing_is_left_of_a_study_that_fails(tmp_path):
    def broken(*, activation, rngs):
        raise RuntimeError("no such layer")

    with pytest.raises(
        ValueError, match=r"RuntimeError at test_errors.py:\d+ with activation=tanh.*no such layer"
    ):
        Study(model=broken, factors={"activation": ["tanh"]}).run(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"factors": {"activation": ["relo"]}}, "did you mean relu"),
        ({"factors": {"activaton": ["relu"]}}, "did you mean activation"),
        ({"factors": {"activation": []}}, "has no values"),
        ({"factors": {"activation": ["relu", "relu"]}}, "two values of the same name"),
        ({"factors": {"learning_rate": [1.0]}}, "tries all of learning_rates"),
        ({"model": "lenett"}, "did you mean lenet"),
        ({"model": "nowhere:make"}, "could not be imported"),
        ({"data": "digit"}, "digits"),
        ({"epochs": 0}, "epochs=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"seeds": [1, 1]}, "seeds="),
        ({"learning_rates": [0.1, -1.0]}, "learning_rates="),
        ({"task": "binary"}, "does not fit"),
        ({"batch_size": 5000}, "use a smaller batch"),
        ({"factors": {"kernel_init": ["normal:big"]}}, "expected a number"),
        ({"model": flat_model, "factors": {}}, "add the argument `outputs`"),
        (
            {"model": not_a_module, "factors": {}},
            "returned a function; expected a module",
        ),
        ({"model": leaving, "factors": {}}, "SystemExit at test_errors.py"),
        ({"model": linear, "factors": {}, "dtype": "bfloat16"}, "does not take dtype"),
        ({"dtype": "bfloat32"}, "did you mean.* bfloat16"),
        ({"augmentation": "shift:2+flap"}, "did you mean flip"),
        ({"gradient_clip": -1.0}, "gradient_clip=-1.0; expected a positive norm"),
        ({"label_smoothing": float("nan")}, "label_smoothing=nan"),
        ({"data": "digits-rotated", "label_smoothing": 0.1}, "applies to classification"),
        ({"task": "regression"}, "expected classification$"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"factors": {"momentum": [5]}}, "momentum=5; expected a number from 0 to below 1"),
        ({"factors": {"weight_decay": ["a"]}}, "weight_decay='a'; expected a number"),
        ({"factors": {"batch_size": [0]}}, "batch_size=0; expected a whole number"),
        ({"factors": {"rngs": [1]}}, "'rngs' is not a factor"),
        ({"factors": {"activation": [lambda x: x, lambda x: x]}}, "pass a mapping of names"),
        ({"factors": {"optimizer": [lambda rate: None]}}, "is not an optimizer"),
        ({"data": {"x": 1}}, "expected one called train"),
        ({"data": (1,)}, "expected a name, a path"),
    ],
)
def test_errors_say_what_to_change(keywords, message):
    with pytest.raises(ValueError, match=message):
        Study(**keywords).run()


def test_a_combination_that_fails_leaves_the_others(tmp_path):
    def model(input_shape, outputs, *, width, rngs):
        if width == 3:
            raise RuntimeError("three is not a width")
        return layers.Dense(input_shape[0], outputs, rngs=rngs)

    one = study(model=model, factors={"width": [2, 3]})
    result = one.run(tmp_path)
    assert [row.levels["width"] for row in result.ranking()] == ["2"]
    assert list(result.failures) == [1]
    assert "three is not a width" in result.failures[1]
    assert result.effects() == ["width: only 2 has finished runs."]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["failures"][0]["levels"] == {"width": "3"}


def test_a_group_that_raises_while_it_compiles_leaves_the_others(monkeypatch):
    whole = jcnn.study.job.Job.compile

    def compiled(self, capacity):
        if self.label.startswith("tanh"):
            raise RuntimeError("no such kernel")
        return whole(self, capacity)

    monkeypatch.setattr(jcnn.study.job.Job, "compile", compiled)
    result = study().run()
    assert [row.levels["activation"] for row in result.ranking()] == ["relu"]
    assert result.failures == {0: "RuntimeError: no such kernel"}
