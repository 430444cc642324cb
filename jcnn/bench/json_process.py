"""A process that answers requests, both as lines of JSON."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from jcnn.interruption import on_interruption


class JsonProcess:
    """A process that is sent requests on stdin and answers each on stdout.

    `receive` raises RuntimeError for an answer with an "error", and ValueError with the last line
    of stderr if the process has ended. Close it in the end.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        with ExitStack() as stack:
            # A file, because a pipe that is not read would fill up.
            self._stderr = stack.enter_context(tempfile.TemporaryFile("w+"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env=dict(environment),
                cwd=folder,
            )
            stack.enter_context(on_interruption(self._process.kill))
            self._exit_stack = stack.pop_all()

    def send(self, request: Any) -> None:
        """Send a request."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # receive raises the reason

    def receive(self) -> Any:
        """Wait for the answer to the oldest request without one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._stderr.seek(0)
            lines = self._stderr.read().strip().splitlines()
            raise ValueError(f"its process ended: {lines[-1] if lines else 'without a message'}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, request: Any) -> Any:
        """Send a request, and return the answer."""
        self.send(request)
        return self.receive()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        self._process.wait()
        self._exit_stack.close()
