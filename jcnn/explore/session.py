"""The connection of one open page: the networks it shows and trains. Pages share no state."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio.to_thread
from starlette.websockets import WebSocket

from jcnn import strict_json
from jcnn.errors import UsageError
from jcnn.explore import signals
from jcnn.explore.choice import RANGES, WIDTHS, Choice, options, parse_choice
from jcnn.explore.live import Live, Trainings, one_line
from jcnn.explore.memory import ProgramMemory
from jcnn.explore.subject import Subject

SIDES = ("a", "b")
# The number of messages queued for a page that does not read; further ones are dropped.
_QUEUE_LIMIT = 200

Message = dict[str, Any]


class Session:
    """A page's connection: `run` until it closes, which stops its trainings.

    Messages received: `{"do": "show", "side", "choice", "example", "number"}`, `{"do": "train",
    "side", "choice", "example", "run"}`, `{"do": "stop", "side"}`, `{"do": "rate", "side",
    "learning_rate"}`, and `{"do": "example", "side", "example"}` for a network that is training or
    has trained. Messages sent have a `kind`: welcome, flow, expected, training, ended or error.
    They carry the `number` or `run` of the message that they answer. If several networks are asked
    for while one is computed, only the last is shown.
    """

    def __init__(
        self, socket: WebSocket, subject: Subject, trainings: Trainings, memory: ProgramMemory
    ) -> None:
        self._socket, self._subject = socket, subject
        self._trainings, self._memory = trainings, memory
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._requested = {side: asyncio.Event() for side in SIDES}
        self._live: dict[str, Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # references keep tasks from being collected
        self._loop = asyncio.get_running_loop()
        self._actions: dict[str, Callable[[str, Message], None]] = {
            "show": self._request,
            "train": self._train,
            "stop": lambda side, _: self._stop(side),
            "rate": self._set_rate,
            "example": self._set_example,
        }

    async def run(self) -> None:
        """Send the welcome, then answer until the page is closed."""
        self._queue.put_nowait(self._welcome())
        tasks = [asyncio.create_task(self._send_queued())]
        tasks += [asyncio.create_task(self._show(side)) for side in SIDES]
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                self._handle(message.get("text"))
        finally:
            for live in self._live.values():
                live.stop()
            tasks += self._tasks
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _welcome(self) -> Message:
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
            "examples": signals.examples(subject),
            "report": subject.directory is not None,
        }

    def _handle(self, text: str | None) -> None:
        """Act on a message; an invalid one is answered with an error and changes nothing."""
        side = None
        try:
            message = json.loads(text or "")
            if not isinstance(message, dict) or message.get("side") not in SIDES:
                raise UsageError("expected a message with a side, a or b")
            side = message["side"]
            action = message.get("do")
            if not isinstance(action, str) or action not in self._actions:
                raise UsageError(f"do={action!r}; expected show, train, stop, rate or example")
            self._actions[action](side, message)
        except (ValueError, RecursionError) as error:
            self._put_error(side, error)

    def _request(self, side: str, message: Message) -> None:
        parse_choice(message.get("choice"))  # an error is answered now, not after other requests
        self._requests[side] = message
        self._requested[side].set()

    def _train(self, side: str, message: Message) -> None:
        choice, example = parse_choice(message.get("choice")), self._example(message)
        run = message.get("run")
        self._stop(side)

        def send(progress: Message) -> None:
            self._send({"side": side, "run": run, **progress}, live)
            if progress["kind"] == "ended":
                self._memory.limit()

        live = Live(self._subject, choice, example, send)
        self._trainings.start(live)
        self._live[side] = live

    def _stop(self, side: str) -> None:
        if side in self._live:
            self._live[side].stop()

    def _set_rate(self, side: str, message: Message) -> None:
        rate = parse_choice({"learning_rate": message.get("learning_rate")}).learning_rate
        if side in self._live:
            self._live[side].learning_rate = rate

    def _set_example(self, side: str, message: Message) -> None:
        live = self._live.get(side)
        if live is None:
            raise UsageError(f"network {side} has not been trained; expected a show message")
        live.example = self._example(message)
        if live.over:
            task = asyncio.create_task(self._measure(side, live))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _example(self, message: Mapping[str, Any]) -> int:
        number = message.get("example", 0)
        if isinstance(number, bool) or not isinstance(number, int):
            raise UsageError(f"example={number!r}; expected a whole number")
        if not 0 <= number < min(signals.SHOWN, len(self._subject.x)):
            raise UsageError(f"example={number}; expected 0 to {signals.SHOWN - 1}")
        return number

    async def _show(self, side: str) -> None:
        """Answer the newest request of a side, until cancelled."""
        while True:
            await self._requested[side].wait()
            self._requested[side].clear()
            message = self._requests[side]
            try:
                choice, example = parse_choice(message["choice"]), self._example(message)
                answered = {"side": side, "number": message.get("number")}
                model, flow = await self._in_thread(self._flow, choice, example)
                command = choice.command(self._subject.named)
                self._put({"kind": "flow", **answered, "command": command, **flow})
                if not self._requested[side].is_set():
                    expected = await self._in_thread(signals.expected, self._subject, model)
                    self._put({"kind": "expected", **answered, **expected})
                    await self._in_thread(self._memory.limit)
            except Exception as error:
                self._put_error(side, error)

    async def _measure(self, side: str, live: Live) -> None:
        try:
            await self._in_thread(live.measure_layers)
        except Exception as error:
            self._put_error(side, error)

    def _flow(self, choice: Choice, example: int) -> tuple[Any, Message]:
        subject = self._subject
        model = choice.model(subject.input_shape, len(subject.classes))
        flow = signals.flow(subject, model, example)
        if flow["remedies"] and choice.gain != 1:
            first = "first set the factor on the weights back to 1"
            flow["remedies"] = [first, *flow["remedies"]]
        return model, flow

    @staticmethod
    async def _in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
        """Run a slow call in a thread; ending the server does not wait for it."""
        return await anyio.to_thread.run_sync(call, *arguments, abandon_on_cancel=True)

    def _send(self, message: Message, live: Live) -> None:
        """Queue a message from a training's thread."""
        try:
            self._loop.call_soon_threadsafe(self._put, message)
        except RuntimeError:
            live.stop()  # the server has ended

    def _put(self, message: Message) -> None:
        if self._queue.qsize() < _QUEUE_LIMIT or message["kind"] == "ended":
            self._queue.put_nowait(message)

    def _put_error(self, side: str | None, error: BaseException) -> None:
        self._put({"kind": "error", "side": side, "text": one_line(error)})

    async def _send_queued(self) -> None:
        while True:
            await self._socket.send_text(strict_json.dumps(await self._queue.get()))
