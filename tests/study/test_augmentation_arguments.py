"""Arguments of augmentations: what cannot work is one clear line before anything is trained."""

import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import names
from jcnn.cli.main import main
from jcnn.data.augmentation import cutout, random_shift
from jcnn.errors import UsageError
from jcnn.study import Study

QUICK = {"factors": {"hidden": [(4,)]}, "learning_rates": [0.1], "seeds": 1, "epochs": 1}
WHOLE = "expected a whole number of pixels after the colon, such as "


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shift:1.5", f"augmentation shift:1.5: {WHOLE}shift:2"),
        ("shift:-1", f"shift:-1: {WHOLE}"),
        ("shift:nan", f"shift:nan: {WHOLE}"),
        ("shift:1e3", f"shift:1e3: {WHOLE}"),
        ("shift:two", f"shift:two: {WHOLE}"),
        ("shift:٢", WHOLE),
        ("shift:" + "9" * 5000, "expected a number after the colon"),
        ("cutout:2.5", f"cutout:2.5: {WHOLE}cutout:2"),
        ("cutout:inf", f"cutout:inf: {WHOLE}"),
        ("shift", "did you mean shift:NUMBER?"),
        ("shift:", "did you mean shift:NUMBER?"),
        ("flip+", "unknown augmentation ''"),
        ("", "unknown augmentation ''"),
        ("none+flip", "none cannot be joined with others; leave it out"),
        ("flip:2", "could not be imported"),
    ],
)
def test_names_with_arguments_that_cannot_work(name, message):
    with pytest.raises(UsageError) as caught:
        names.lookup("augmentation", name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1.5, -1, float("nan"), "2", None])
def test_functions_take_whole_numbers(key, value, unchecked_types):
    x = jnp.ones((2, 4, 4, 1))
    expected = f"is {value}, expected a whole number of pixels, 0 or more"
    with pytest.raises(ValueError, match=f"max_shift {expected}"):
        random_shift(key, x, max_shift=value)
    with pytest.raises(ValueError, match=f"size {expected}"):
        cutout(key, x, size=value)


def test_something_of_every_example_stays(key):
    x = jnp.ones((500, 4, 6, 1))
    for changed in (random_shift(key, x, max_shift=3), cutout(key, x, size=5)):
        assert (np.asarray(changed).sum(axis=(1, 2, 3)) >= 1).all()
    message = "expected less than 4 for images of 4x6 pixels, so that some of each image stays"
    with pytest.raises(ValueError, match=f"max_shift is 4, {message}"):
        random_shift(key, x, max_shift=4)
    with pytest.raises(ValueError, match="size is 6, expected less than 6 for images of 4x6"):
        cutout(key, x, size=6)


def test_a_signal_is_shifted_along_its_length_only(key):
    x = jnp.arange(1, 9, dtype=jnp.float32).reshape(1, 8, 1, 1) * jnp.ones((200, 1, 1, 1))
    shifted = np.asarray(random_shift(key, x, max_shift=2))[..., 0, 0]
    expected = {(0, 0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4, 5, 6, 7, 8)}
    expected |= {(2, 3, 4, 5, 6, 7, 8, 0), (3, 4, 5, 6, 7, 8, 0, 0)}
    assert {tuple(row) for row in shifted.astype(int).tolist()} == expected


@pytest.mark.parametrize("name", ["shift:8", "cutout:1000000000000", "flip+shift:1000000"])
def test_a_study_refuses_too_large_ones_before_training(name, tmp_path):
    study = Study("digits", "mlp", augmentation=name, **QUICK)
    with pytest.raises(ValueError, match="augmentation: .* is .*, expected less than 8 for images"):
        study.run(tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_study_refuses_an_augmentation_that_changes_the_shape():
    study = Study("digits", "mlp", augmentation=lambda key, x: x[:, 1:], **QUICK)
    expected = r"the augmentation maps images of shape \(64, 8, 8, 1\) to \(64, 7, 8, 1\)"
    with pytest.raises(ValueError, match=expected):
        study.run()


def test_one_line_on_the_command_line(capsys):
    assert main(["compare", "--augmentation", "shift:1.5"]) == 2
    error = capsys.readouterr().err
    assert error == f"jcnn compare: augmentation shift:1.5: {WHOLE}shift:2\n"
