"""One open page: its networks, what it asks, and what it is told. Pages share no state."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio.to_thread
from starlette.websockets import WebSocket

from jcnn import strict_json
from jcnn.errors import UsageError
from jcnn.explore import picture
from jcnn.explore.choice import RANGES, WIDTHS, Choice, choice_of, options
from jcnn.explore.live import Live, Trainings, one_line
from jcnn.explore.subject import Subject

SIDES = ("a", "b")
# Messages that wait for a page that does not read; what comes then is left out.
_WAITING = 200


class Session:
    """A page's connection: `run` until it closes, which stops what it trains.

    Messages in: `{"do": "show", "side", "choice", "example", "number"}`, `{"do": "train", "side",
    "choice", "example", "run"}`, `{"do": "stop", "side"}`, `{"do": "rate", "side",
    "learning_rate"}`, `{"do": "example", "side", "example"}`, of the network that trains or has
    trained. Messages out have a `kind`: welcome, flow, expected, training, ended, error; they carry
    the `number` or the `run` that they answer. Of several networks that are asked for while one is
    computed, the last alone is shown.
    """

    def __init__(self, socket: WebSocket, subject: Subject, trainings: Trainings) -> None:
        self._socket, self._subject, self._trainings = socket, subject, trainings
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._asked: dict[str, Mapping[str, Any]] = {}
        self._wanted = {side: asyncio.Event() for side in SIDES}
        self._live: dict[str, Live] = {}
        self._looking: set[asyncio.Task[None]] = set()  # or they would be collected as garbage
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Greet, then answer until the page is closed."""
        self._out.put_nowait(self._welcome())
        tasks = [asyncio.create_task(self._send())]
        tasks += [asyncio.create_task(self._show(side)) for side in SIDES]
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                self._take(message.get("text"))
        finally:
            for live in self._live.values():
                live.stop()
            tasks += self._looking
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _welcome(self) -> dict[str, Any]:
        subject = self._subject
        return {
            "kind": "welcome",
            "data": subject.dataset.name,
            "shape": subject.input_shape,
            "classes": subject.classes,
            "batch": len(subject.x),
            "options": options(),
            "widths": WIDTHS,
            "ranges": RANGES,
            "start": subject.start,
            "examples": picture.examples(subject),
            "report": subject.directory is not None,
        }

    def _take(self, text: str | None) -> None:
        """Carry out one message; a bad one is answered, and changes nothing."""
        side = None
        try:
            told = json.loads(text or "")
            if not isinstance(told, dict) or told.get("side") not in SIDES:
                raise UsageError("expected a message with a side, a or b")
            side = told["side"]
            self._run_jobs(side, told)
        except (ValueError, RecursionError) as error:
            self._put({"kind": "error", "side": side, "text": one_line(error)})

    def _run_jobs(self, side: str, told: dict[str, Any]) -> None:
        what = told.get("do")
        if what == "show":
            choice_of(told.get("choice"))  # its error is answered now, not after others
            self._asked[side] = told
            self._wanted[side].set()
        elif what == "train":
            choice, example, run = (
                choice_of(told.get("choice")),
                self._example(told),
                told.get("run"),
            )
            self._stop(side)

            def tell(message: dict[str, Any]) -> None:
                self._tell({"side": side, "run": run, **message}, live)

            live = Live(self._subject, choice, example, tell)
            self._trainings.start(live)
            self._live[side] = live
        elif what == "stop":
            self._stop(side)
        elif what == "rate":
            rate = choice_of({"learning_rate": told.get("learning_rate")}).learning_rate
            if side in self._live:
                self._live[side].learning_rate = rate
        elif what == "example" and side in self._live:
            live = self._live[side]
            live.example = self._example(told)
            if live.over:
                task = asyncio.create_task(self._look_again(side, live))
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)
        else:
            raise UsageError(f"do={what!r}; expected show, train, stop, rate or example")

    def _example(self, told: Mapping[str, Any]) -> int:
        number = told.get("example", 0)
        if isinstance(number, bool) or not isinstance(number, int):
            raise UsageError(f"example={number!r}; expected a whole number")
        if not 0 <= number < min(picture.SHOWN, len(self._subject.x)):
            raise UsageError(f"example={number}; expected 0 to {picture.SHOWN - 1}")
        return number

    def _stop(self, side: str) -> None:
        if side in self._live:
            self._live[side].stop()

    async def _show(self, side: str) -> None:
        """Answer the newest network asked for on a side, for ever."""
        while True:
            await self._wanted[side].wait()
            self._wanted[side].clear()
            told = self._asked[side]
            try:
                choice, example = choice_of(told["choice"]), self._example(told)
                of = {"side": side, "number": told.get("number")}
                model, shown = await self._in_thread(self._flow, choice, example)
                command = choice.command(self._subject.named)
                self._put({"kind": "flow", **of, "command": command, **shown})
                if not self._wanted[side].is_set():
                    shown = await self._in_thread(picture.expected, self._subject, model)
                    self._put({"kind": "expected", **of, **shown})
            except Exception as error:
                self._put({"kind": "error", "side": side, "text": one_line(error)})

    async def _look_again(self, side: str, live: Live) -> None:
        try:
            await self._in_thread(live.look)
        except Exception as error:
            self._put({"kind": "error", "side": side, "text": one_line(error)})

    def _flow(self, choice: Choice, example: int) -> tuple[Any, dict[str, Any]]:
        subject = self._subject
        model = choice.model(subject.input_shape, len(subject.classes))
        shown = picture.flow(subject, model, example)
        if shown["remedies"] and choice.gain != 1:
            shown["remedies"] = [
                "first set the factor on the weights back to 1",
                *shown["remedies"],
            ]
        return model, shown

    @staticmethod
    async def _in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
        """What a call gives that may take long; who ends the server does not wait for it."""
        return await anyio.to_thread.run_sync(call, *arguments, abandon_on_cancel=True)

    def _tell(self, message: dict[str, Any], live: Live) -> None:
        """Called by a training's thread."""
        try:
            self._loop.call_soon_threadsafe(self._put, message)
        except RuntimeError:
            live.stop()  # the server is gone

    def _put(self, message: dict[str, Any]) -> None:
        if self._out.qsize() < _WAITING or message["kind"] == "ended":
            self._out.put_nowait(message)

    async def _send(self) -> None:
        while True:
            await self._socket.send_text(strict_json.dumps(await self._out.get()))
