"""How soon does the explorer answer a slider?

Command: python experiments/explorer.py
Cost: about two minutes on 2 CPU cores.
Result (milliseconds, experiments/results/explorer-cpu.json): median 65, 95% 141, greatest 158 of
200; while a network trains 75, 144 and 175. The server takes 0.9 GB.

A server of its own is asked as the page asks it, one control changed at random each time, half of
them the depth; times are from the question to the last byte of the answer, after the warm-up.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

from jcnn import strict_json
from jcnn.bench import hardware
from jcnn.explore.choice import options

RESULTS = Path(__file__).parent / "results"
QUESTIONS = 200
QUIET = 60  # seconds for the warm-up


def main() -> None:
    """Ask, and write what came out."""
    parser = argparse.ArgumentParser(description="How soon does the explorer answer a slider?")
    parser.add_argument("--out", type=Path, help="leave results.json in this directory")
    parser.add_argument("--smoke", action="store_true", help="five questions, no warm-up")
    chosen = parser.parse_args()
    questions, quiet = (5, 0) if chosen.smoke else (QUESTIONS, QUIET)
    command = [sys.executable, "-m", "jcnn", "explore", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().replace("http", "ws", 1)
        try:
            time.sleep(quiet)
            with connect(f"{address}socket", max_size=2**24) as connection:
                told = {
                    "idle": summary(asked(connection, questions, training=False)),
                    "while a network trains": summary(asked(connection, questions, training=True)),
                }
            told["memory, MB"] = _memory(server.pid)
        finally:
            server.terminate()
    print(strict_json.dumps(told))
    content = {"milliseconds": told, "questions": questions, "hardware": hardware()}
    path = RESULTS / "explorer-cpu.json"
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        path = chosen.out / "results.json"
    path.write_text(strict_json.dumps(content) + "\n")


def asked(connection: ClientConnection, questions: int, training: bool) -> list[float]:
    """Milliseconds of questions that each change one control at random, as a visitor does."""
    generator = random.Random(0)
    parts = {key: values for key, values in options().items() if key != "optimizer"}
    choice: dict[str, Any] = {"depth": 12}
    if training:
        connection.send(json.dumps({"do": "train", "side": "b", "choice": {"depth": 5}}))
        _next(connection, "training", "training")
    times = []
    for number in range(questions):
        moves: list[tuple[str, Any]] = [("depth", generator.randint(1, 40))] * 8
        moves += [("gain", 10 ** generator.uniform(-1, 1)), ("seed", number)] * 2
        moves += [(part, value) for part, values in parts.items() for value in values]
        key, value = generator.choice(moves)
        choice[key] = value
        question = {"do": "show", "side": "a", "choice": choice, "number": number}
        start = time.perf_counter()
        connection.send(json.dumps(question))
        _next(connection, "flow")
        times.append(1000 * (time.perf_counter() - start))
        _next(connection, "expected")
    if training:
        connection.send(json.dumps({"do": "stop", "side": "b"}))
    return times


def _next(connection: ClientConnection, kind: str, state: str | None = None) -> None:
    while True:
        told = json.loads(connection.recv(timeout=120))
        if told["kind"] == "error":
            raise SystemExit(told["text"])
        if told["kind"] == kind and not told.get("trained") and state in (None, told.get("state")):
            return


def summary(times: list[float]) -> dict[str, float]:
    """Median, 95th percentile and greatest."""
    return {
        "median": float(np.median(times)),
        "95%": float(np.percentile(times, 95)),
        "greatest": max(times),
    }


def _memory(process: int) -> float | None:
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
