"""What a page asks for and is answered: signals, theory, training; bad messages; several pages."""

import contextlib
import itertools

import pytest
from websockets.exceptions import ConnectionClosed

from jcnn.explore.choice import Choice
from tests.explore.client import answer, asked, socket_of


def test_a_choice_is_answered_with_its_signals_and_then_theory(page):
    choice = {"activation": "sigmoid", "depth": 9, "seed": 3}
    asked(page, do="show", side="a", choice=choice, number=7)
    flow = answer(page, "flow", "error")
    assert (flow["side"], flow["number"], flow["verdict"]) == ("a", 7, "vanishing")
    assert flow["layers"] == [f"conv{i}" for i in range(1, 10)] + ["output"]
    assert len(flow["std"]) == len(flow["gradient"]) == 10
    assert flow["gradient"][0] < 1e-3 * flow["gradient"][8]
    assert [one["layer"] for one in flow["maps"]] == flow["layers"][:-1]
    assert sum(flow["shares"]) == pytest.approx(1)
    assert "--activation sigmoid" in flow["command"]
    assert "--depth 9" in flow["command"]
    theory = answer(page, "expected")
    assert theory["std"][4] == pytest.approx(flow["std"][4], rel=0.5)
    ratio = theory["gradient"][0] / theory["gradient"][8]
    assert ratio == pytest.approx(flow["gradient"][0] / flow["gradient"][8], rel=0.9)


def test_a_factor_on_the_weights_is_the_first_thing_to_take_back(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 20, "gain": 5}
    asked(page, do="show", side="a", choice=choice, number=1)
    flow = answer(page, "flow")
    assert flow["verdict"] == "exploding"
    assert flow["remedies"][0] == "first set the factor on the weights back to 1"


def test_the_command_names_the_data_as_a_shell_has_to_read_it():
    assert "--data 'my images/a' --activation sigmoid" in Choice().command("my images/a")


def test_of_many_questions_the_last_is_answered(page):
    for number in range(1, 31):
        asked(page, do="show", side="a", choice={"depth": number}, number=number)
    answered = []
    while 30 not in answered:
        answered.append(answer(page, "flow")["number"])
    assert answered == sorted(answered)


WRONG = [
    ("not json", "line 1"),
    ("[]", "side, a or b"),
    ('{"do": "show", "side": "c"}', "side, a or b"),
    ('{"do": "sow", "side": "a"}', "expected show, train, stop"),
    ('{"do": "show", "side": "a"}', "a table"),
    ('{"do": "show", "side": "a", "choice": {"activation": "rlu"}}', "did you mean relu"),
    ('{"do": "show", "side": "a", "choice": {"activation": "os:system"}}', "unknown activation"),
    ('{"do": "show", "side": "a", "choice": {"depth": 1e9}}', "from 1 to 40"),
    ('{"do": "show", "side": "a", "choice": {"depth": true}}', "expected a number"),
    ('{"do": "show", "side": "a", "choice": {"gain": NaN}}', "expected a number"),
    ('{"do": "show", "side": "a", "choice": {"width": 5}}', "one of 4, 8, 16, 32"),
    ('{"do": "show", "side": "a", "choice": {"widht": 8}}', "width"),
    ('{"do": "show", "side": "a", "choice": {}, "example": 99}', "expected 0 to"),
    ('{"do": "rate", "side": "a", "learning_rate": -1}', "from 1e-05 to 10"),
    ('{"do": "train", "side": "a", "choice": {"optimizer": "sdg"}}', "did you mean sgd"),
    ('{"do": "rate", "side": "a", "learning_rate": 1' + "0" * 400 + "}", "expected a number"),
    ('{"do": "show", "side": "a", "choice": {"depth": 1' + "0" * 400 + "}}", "expected a number"),
    ("[" * 60_000, "recursion"),
    (b"bytes", "line 1"),
    ('{"do": "' + "x" * 60_000 + '", "side": "a"}', "expected show"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_bad_message_is_answered_in_one_line_and_changes_nothing(page, text, words):
    page.send(text)
    told = answer(page, "error")["text"]
    assert words in told or told.endswith("…")
    assert "\n" not in told
    assert len(told) <= 301
    asked(page, do="show", side="a", choice={"depth": 2}, number=1)
    assert answer(page, "flow")["number"] == 1


def test_a_message_that_is_too_large_closes_that_page_alone(explorer, page):
    with socket_of(explorer) as other:
        answer(other, "welcome")
        other.send("x" * 2**17)
        with pytest.raises(ConnectionClosed):
            answer(other, "flow")
    asked(page, do="show", side="a", choice={"depth": 2}, number=1)
    assert answer(page, "flow")["number"] == 1


def test_what_has_trained_can_still_be_looked_at(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 2, "width": 8}
    asked(page, do="train", side="a", choice=choice, run=5)
    while answer(page, "training").get("accuracy") is None:
        pass
    asked(page, do="stop", side="a")
    assert answer(page, "ended")["run"] == 5
    asked(page, do="example", side="a", example=3)
    looked = answer(page, "flow")
    assert (looked["trained"], looked["run"]) == (True, 5)
    asked(page, do="example", side="a", example=4)
    assert answer(page, "flow")["shares"] != looked["shares"]


def test_a_network_trains_until_it_is_stopped(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 2, "width": 8}
    asked(page, do="train", side="b", choice={**choice, "learning_rate": 0.1})
    assert answer(page, "training")["state"] == "compiling"
    told = answer(page, "training")
    assert (told["side"], told["state"]) == ("b", "training")
    looked = answer(page, "flow")
    assert looked["trained"]
    accuracy = 0.0
    while accuracy < 0.9:
        told = answer(page, "training", "ended")
        assert told["kind"] == "training", told
        accuracy = told.get("accuracy", accuracy)
    asked(page, do="stop", side="b")
    assert answer(page, "ended")["why"] == "stopped"


def test_the_learning_rate_changes_while_it_trains(page):
    asked(page, do="train", side="a", choice={"depth": 2, "width": 8, "activation": "relu"})
    while answer(page, "training")["state"] != "training":
        pass
    asked(page, do="rate", side="a", learning_rate=10)
    ended = answer(page, "ended")["why"]  # from a rate of 10 it does not come back
    assert ended.startswith(("diverged", "trained for"))


def test_two_pages_share_nothing(explorer):
    with socket_of(explorer) as one, socket_of(explorer) as other:
        answer(one, "welcome"), answer(other, "welcome")
        asked(one, do="train", side="a", choice={"depth": 2, "width": 8})
        answer(one, "training")
        asked(other, do="stop", side="a")  # its own side a, which does not train
        asked(other, do="show", side="a", choice={"depth": 3}, number=1)
        message = answer(other, "flow", "training", "ended")
        assert (message["kind"], message["number"]) == ("flow", 1)
        validated = 0  # what was told before the other page asked may wait still
        while validated < 5:
            message = answer(one, "training", "ended")
            assert message["kind"] == "training", "the other page stopped it"
            validated += message["state"] == "validated"


def test_what_closed_pages_trained_no_longer_trains(explorer):
    """Eight may train at once: were those of closed pages among them, the last could not."""
    choice = {"depth": 3, "width": 8, "seed": 1}
    for _ in range(5):
        with socket_of(explorer) as page:
            answer(page, "welcome")
            for side in "ab":
                asked(page, do="train", side=side, choice=choice)
                assert answer(page, "training", "error")["kind"] == "training"
    with socket_of(explorer) as last:
        answer(last, "welcome")
        asked(last, do="train", side="a", choice=choice)
        assert answer(last, "training", "error")["kind"] == "training"
        asked(last, do="stop", side="a")
        answer(last, "ended")


@pytest.mark.slow
def test_more_than_eight_may_not_train_at_once(explorer):
    pages = [socket_of(explorer) for _ in range(5)]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(page) for page in pages]
        told = []
        for page, side in itertools.product(opened, "ab"):
            # Deep ones, which are not through before the last has been asked for.
            asked(page, do="train", side=side, choice={"depth": 30, "learning_rate": 1e-5})
            told.append(answer(page, "training", "error"))
    assert [one["kind"] for one in told] == ["training"] * 8 + ["error"] * 2
    assert "stop one first" in told[-1]["text"]
