"""Does the explorer's memory stay within a bound in long use?

Command: python experiments/explorer_memory.py
Cost: about 40 minutes on 2 busy CPU cores.
Result (resident MB, experiments/results/explorer-memory-cpu.json): 72 networks that differ in every
part, each shown and trained briefly, take at most 1538; programs were dropped 7 times. Without the
bound, the first 7 of them took 2298.

`--networks 400` is about an hour's use: someone who tried 67 networks took ten minutes.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection

from harness.explorer import resident_megabytes, running_explorer
from jcnn import strict_json
from jcnn.bench import hardware
from jcnn.explore.choice import WIDTHS, options

RESULTS = Path(__file__).parent / "results"
NETWORKS = 72
WARM_UP = 60  # seconds
DEEPEST = 40


def main() -> None:
    """Use the explorer, and save its memory after each network."""
    parser = argparse.ArgumentParser(description="Measure the explorer's memory in long use")
    parser.add_argument("--networks", type=int, default=NETWORKS, help="how many are shown")
    parser.add_argument("--out", type=Path, help="save results.json in this directory")
    parser.add_argument("--smoke", action="store_true", help="three networks, no warm-up")
    arguments = parser.parse_args()
    networks, warm_up = (3, 0) if arguments.smoke else (arguments.networks, WARM_UP)
    with running_explorer(warm_up) as (connection, server):
        memory = [_megabytes(server)]
        for choice in choices(networks):
            use(connection, choice)
            memory.append(_megabytes(server))
            print(f"{len(memory) - 1}: {memory[-1]:.0f} MB", flush=True)
    growth = 100 * (max(memory) / memory[0] - 1)
    print(f"at most {max(memory):.0f} MB, {growth:.0f}% more than at the start")
    content = {
        "networks": networks,
        "megabytes": [round(value) for value in memory],
        "greatest": round(max(memory)),
        "hardware": hardware(),
    }
    path = RESULTS / "explorer-memory-cpu.json"
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / "results.json"
    path.write_text(strict_json.dumps(content) + "\n")


def choices(count: int) -> list[dict[str, Any]]:
    """Return networks that differ in every part."""
    generator = random.Random(0)
    drawn = []
    for seed in range(count):
        choice: dict[str, Any] = {
            part: generator.choice(values) for part, values in options().items()
        }
        choice["depth"] = generator.randint(1, DEEPEST)
        choice["width"] = generator.choice(WIDTHS)
        drawn.append(choice | {"seed": seed})
    return drawn


def use(connection: ClientConnection, choice: dict[str, Any]) -> None:
    """Show a network, train it until the first steps are reported, and stop."""
    request = {"side": "a", "choice": choice, "number": choice["seed"], "run": choice["seed"]}
    connection.send(json.dumps({"do": "show", **request}))
    receive(connection, "expected")
    connection.send(json.dumps({"do": "train", **request}))
    receive(connection, "training", "training")
    connection.send(json.dumps({"do": "stop", "side": "a"}))
    receive(connection, "ended")


def receive(connection: ClientConnection, kind: str, state: str | None = None) -> None:
    """Wait for the next message of this kind (and state)."""
    while True:
        message = json.loads(connection.recv(timeout=300))
        if message["kind"] == "error":
            raise SystemExit(message["text"])
        if message["kind"] == kind and state in (None, message.get("state")):
            return
        if message["kind"] == "ended":
            return  # it diverged in the first steps


def _megabytes(process: int) -> float:
    megabytes = resident_megabytes(process)
    if megabytes is None:
        raise SystemExit("this system does not tell the memory of a process")
    return megabytes


if __name__ == "__main__":
    main()
