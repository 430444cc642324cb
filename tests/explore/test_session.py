"""What a page asks for and is answered: signals, theory, training; bad messages; several pages."""

import contextlib
import itertools

import pytest
from websockets.exceptions import ConnectionClosed

from jcnn.explore.choice import Choice
from tests.explore.client import answer, send, socket_of


def test_a_choice_is_answered_with_its_signals_and_then_the_prediction(page):
    choice = {"activation": "sigmoid", "depth": 9, "seed": 3}
    send(page, do="show", side="a", choice=choice, number=7)
    flow = answer(page, "flow", "error")
    assert (flow["side"], flow["number"], flow["verdict"]) == ("a", 7, "vanishing")
    assert flow["layers"] == [f"conv{i}" for i in range(1, 10)] + ["output"]
    assert len(flow["std"]) == len(flow["gradient"]) == 10
    assert flow["gradient"][0] < 1e-3 * flow["gradient"][8]
    assert [layer["layer"] for layer in flow["maps"]] == flow["layers"][:-1]
    assert sum(flow["shares"]) == pytest.approx(1)
    assert "--activation sigmoid" in flow["command"]
    assert "--depth 9" in flow["command"]
    theory = answer(page, "expected")
    assert theory["std"][4] == pytest.approx(flow["std"][4], rel=0.5)
    ratio = theory["gradient"][0] / theory["gradient"][8]
    assert ratio == pytest.approx(flow["gradient"][0] / flow["gradient"][8], rel=0.9)


def test_the_first_remedy_is_to_reset_the_factor_on_the_weights(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 20, "gain": 5}
    send(page, do="show", side="a", choice=choice, number=1)
    flow = answer(page, "flow")
    assert flow["verdict"] == "exploding"
    assert flow["remedies"][0] == "first set the factor on the weights back to 1"


def test_the_command_quotes_the_data_for_a_shell():
    assert "--data 'my images/a' --activation sigmoid" in Choice().command("my images/a")


def test_the_last_of_many_requests_is_answered(page):
    for number in range(1, 31):
        send(page, do="show", side="a", choice={"depth": number}, number=number)
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
def test_a_bad_message_gets_a_one_line_error_and_changes_nothing(page, text, words):
    page.send(text)
    error = answer(page, "error")["text"]
    assert words in error or error.endswith("…")
    assert "\n" not in error
    assert len(error) <= 301
    send(page, do="show", side="a", choice={"depth": 2}, number=1)
    assert answer(page, "flow")["number"] == 1


def test_a_message_that_is_too_large_closes_only_its_page(explorer, page):
    with socket_of(explorer) as other:
        answer(other, "welcome")
        other.send("x" * 2**17)
        with pytest.raises(ConnectionClosed):
            answer(other, "flow")
    send(page, do="show", side="a", choice={"depth": 2}, number=1)
    assert answer(page, "flow")["number"] == 1


def test_a_trained_network_can_still_be_inspected(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 2, "width": 8}
    send(page, do="train", side="a", choice=choice, run=5)
    while answer(page, "training").get("accuracy") is None:
        pass
    send(page, do="stop", side="a")
    assert answer(page, "ended")["run"] == 5
    send(page, do="example", side="a", example=3)
    flow = answer(page, "flow")
    assert (flow["trained"], flow["run"]) == (True, 5)
    send(page, do="example", side="a", example=4)
    assert answer(page, "flow")["shares"] != flow["shares"]


def test_a_network_trains_until_it_is_stopped(page):
    choice = {"activation": "relu", "kernel_init": "he_normal", "depth": 2, "width": 8}
    send(page, do="train", side="b", choice={**choice, "learning_rate": 0.1})
    assert answer(page, "training")["state"] == "compiling"
    message = answer(page, "training")
    assert (message["side"], message["state"]) == ("b", "training")
    flow = answer(page, "flow")
    assert flow["trained"]
    accuracy = 0.0
    while accuracy < 0.9:
        message = answer(page, "training", "ended")
        assert message["kind"] == "training", message
        accuracy = message.get("accuracy", accuracy)
    send(page, do="stop", side="b")
    assert answer(page, "ended")["why"] == "stopped"


def test_the_learning_rate_changes_while_it_trains(page):
    send(page, do="train", side="a", choice={"depth": 2, "width": 8, "activation": "relu"})
    while answer(page, "training")["state"] != "training":
        pass
    send(page, do="rate", side="a", learning_rate=10)
    ended = answer(page, "ended")["why"]  # a rate of 10 makes it diverge
    assert ended.startswith(("diverged", "trained for"))


def test_two_pages_share_nothing(explorer):
    with socket_of(explorer) as first, socket_of(explorer) as other:
        answer(first, "welcome"), answer(other, "welcome")
        send(first, do="train", side="a", choice={"depth": 2, "width": 8})
        answer(first, "training")
        send(other, do="stop", side="a")  # its own side a, which does not train
        send(other, do="show", side="a", choice={"depth": 3}, number=1)
        message = answer(other, "flow", "training", "ended")
        assert (message["kind"], message["number"]) == ("flow", 1)
        validated = 0  # messages sent before the other page asked may still be queued
        while validated < 5:
            message = answer(first, "training", "ended")
            assert message["kind"] == "training", "the other page stopped it"
            validated += message["state"] == "validated"


def test_closing_a_page_stops_its_trainings(explorer):
    """Eight may train at once; if those of closed pages still counted, the last could not start."""
    choice = {"depth": 3, "width": 8, "seed": 1}
    for _ in range(5):
        with socket_of(explorer) as page:
            answer(page, "welcome")
            for side in "ab":
                send(page, do="train", side=side, choice=choice)
                assert answer(page, "training", "error")["kind"] == "training"
    with socket_of(explorer) as last:
        answer(last, "welcome")
        send(last, do="train", side="a", choice=choice)
        assert answer(last, "training", "error")["kind"] == "training"
        send(last, do="stop", side="a")
        answer(last, "ended")


@pytest.mark.slow
def test_at_most_eight_networks_train_at_once(explorer):
    pages = [socket_of(explorer) for _ in range(5)]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(page) for page in pages]
        answers = []
        for page, side in itertools.product(opened, "ab"):
            # Deep networks, which do not finish before the last one is asked for.
            send(page, do="train", side=side, choice={"depth": 30, "learning_rate": 1e-5})
            answers.append(answer(page, "training", "error"))
    assert [message["kind"] for message in answers] == ["training"] * 8 + ["error"] * 2
    assert "stop one first" in answers[-1]["text"]
