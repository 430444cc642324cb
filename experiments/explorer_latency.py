"""How fast does the explorer respond to a slider?

Command: python experiments/explorer_latency.py
Cost: about two minutes on 2 CPU cores.
Result (milliseconds, experiments/results/explorer-cpu.json): median 65, 95th percentile 141,
maximum 158 over 200 changes; while a network trains 75, 144 and 175. The server uses 0.9 GB.

The experiment starts a server and talks to it as the page does, changing one random control at a
time, the depth in about half of all cases. Times run from the request to the last byte of the
response, after the warm-up.
"""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection

from harness.explorer import resident_megabytes, running_explorer
from jcnn import strict_json
from jcnn.bench import hardware
from jcnn.explore.choice import options

RESULTS = Path(__file__).parent / "results"
CHANGES = 200
WARM_UP = 60  # seconds


def main() -> None:
    """Measure the response times and save them."""
    parser = argparse.ArgumentParser(description="Measure the explorer's response times")
    parser.add_argument("--out", type=Path, help="save results.json in this directory")
    parser.add_argument("--smoke", action="store_true", help="five changes, no warm-up")
    arguments = parser.parse_args()
    changes, warm_up = (5, 0) if arguments.smoke else (CHANGES, WARM_UP)
    with running_explorer(warm_up) as (connection, server):
        idle = response_times(connection, changes, training=False)
        busy = response_times(connection, changes, training=True)
        memory = resident_megabytes(server)
    measured: dict[str, Any] = {"idle": summary(idle), "while a network trains": summary(busy)}
    measured["memory, MB"] = memory
    print(strict_json.dumps(measured))
    content = {"milliseconds": measured, "questions": changes, "hardware": hardware()}
    path = RESULTS / "explorer-cpu.json"
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / "results.json"
    path.write_text(strict_json.dumps(content) + "\n")


def response_times(connection: ClientConnection, changes: int, training: bool) -> list[float]:
    """Return the milliseconds of each of `changes` requests that change one random control."""
    generator = random.Random(0)
    parts = {key: values for key, values in options().items() if key != "optimizer"}
    choice: dict[str, Any] = {"depth": 12}
    if training:
        connection.send(json.dumps({"do": "train", "side": "b", "choice": {"depth": 5}}))
        _receive(connection, "training", "training")
    times = []
    for number in range(changes):
        moves: list[tuple[str, Any]] = [("depth", generator.randint(1, 40))] * 8
        moves += [("gain", 10 ** generator.uniform(-1, 1)), ("seed", number)] * 2
        moves += [(part, value) for part, values in parts.items() for value in values]
        key, value = generator.choice(moves)
        choice[key] = value
        request = {"do": "show", "side": "a", "choice": choice, "number": number}
        start = time.perf_counter()
        connection.send(json.dumps(request))
        _receive(connection, "flow")
        times.append(1000 * (time.perf_counter() - start))
        _receive(connection, "expected")
    if training:
        connection.send(json.dumps({"do": "stop", "side": "b"}))
    return times


def _receive(connection: ClientConnection, kind: str, state: str | None = None) -> None:
    """Wait for the next message of this kind (and state) that is not about a trained network."""
    while True:
        message = json.loads(connection.recv(timeout=120))
        if message["kind"] == "error":
            raise SystemExit(message["text"])
        if message.get("trained") or message["kind"] != kind:
            continue
        if state in (None, message.get("state")):
            return


def summary(times: list[float]) -> dict[str, float]:
    """Return the median, the 95th percentile and the maximum."""
    return {
        "median": float(np.median(times)),
        "95%": float(np.percentile(times, 95)),
        "greatest": max(times),
    }


if __name__ == "__main__":
    main()
