"""The server of the explorer: this machine alone, behind a token, one connection a page."""

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from jcnn.errors import UsageError
from jcnn.explore.live import Trainings
from jcnn.explore.session import Session
from jcnn.explore.subject import Subject

HOST = "127.0.0.1"
_HOSTS = (HOST, "localhost")
_PAGE = Path(__file__).resolve().parent / "page"
_LARGEST_MESSAGE = 2**16
_SAFE = {
    "Referrer-Policy": "no-referrer",  # or the token would be told to what a link leads to
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_OWN_ONLY = {"Content-Security-Policy": "default-src 'self'; img-src 'self' data:"}
# A report has its styles, scripts and pictures in itself, and may load nothing.
_NOTHING = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
}


class Explorer:
    """The application, its token and its address; `serve` runs it.

    Every address begins with the token. What has another token is not found, what names another
    host than this machine is refused, and so is a page of another origin.
    """

    def __init__(self, subject: Subject, *, report: Callable[[], str] | None = None) -> None:
        """`report` gives the page of a study, where one is explored; it is asked for once."""
        self.token = secrets.token_urlsafe(16)
        self.trainings = Trainings()
        self._subject, self._report = subject, report
        self._page: str | None = None
        self._making = threading.Lock()
        routes = [
            Route("/{token}", self._without_slash),
            Route("/{token}/", self._index),
            Route("/{token}/report", self._shown_report),
            Route("/{token}/page/{name:path}", self._file),
            WebSocketRoute("/{token}/socket", self._connect),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*_HOSTS], www_redirect=False)
        self.app = Starlette(routes=routes, middleware=[hosts])
        self.app.router.redirect_slashes = False  # or a wrong token would be led on

    def _is_ours(self, given: Mapping[str, Any]) -> bool:
        return secrets.compare_digest(str(given["token"]).encode(), self.token.encode())

    def _check(self, request: Request) -> None:
        if not self._is_ours(request.path_params):
            raise HTTPException(404)

    async def _without_slash(self, request: Request) -> Response:
        self._check(request)
        return RedirectResponse(f"/{self.token}/", headers=_SAFE)

    async def _index(self, request: Request) -> Response:
        self._check(request)
        return FileResponse(_PAGE / "explore.html", headers=_SAFE | _OWN_ONLY)

    async def _file(self, request: Request) -> Response:
        self._check(request)
        try:
            path = (_PAGE / request.path_params["name"]).resolve()
            found = path.is_relative_to(_PAGE) and path.is_file()
        except (OSError, ValueError):  # no name that a file could have
            found = False
        if not found:
            raise HTTPException(404)
        return FileResponse(path, headers=_SAFE | _OWN_ONLY)

    async def _shown_report(self, request: Request) -> Response:
        self._check(request)
        if self._report is None:
            raise HTTPException(404, "no study is explored")
        page = await run_in_threadpool(self._made_report, self._report)
        return HTMLResponse(page, headers=_SAFE | _NOTHING)

    def _made_report(self, report: Callable[[], str]) -> str:
        with self._making:
            if self._page is None:
                self._page = report()
        return self._page

    async def _connect(self, connection: WebSocket) -> None:
        origin = connection.headers.get("origin", "")
        own = f"http://{connection.headers.get('host', '')}"
        if not self._is_ours(connection.path_params) or origin not in ("", own):
            await connection.close()  # before it is accepted: 403
            return
        await connection.accept()
        await Session(connection, self._subject, self.trainings).run()


def serve(explorer: Explorer, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until interrupted; `ready` is told the address.

    Port 0 takes any that is free. UsageError where the port cannot be had.

    >>> from jcnn.explore.subject import subject_of
    >>> explorer = Explorer(subject_of("digits", None))
    >>> len(explorer.token)
    22
    >>> serve(explorer, ready=print)  # doctest: +SKIP
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # who opens the address at once waits, and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise UsageError(f"--port {port}: {error}; without --port any free one is taken") from None
    config = uvicorn.Config(
        explorer.app,
        log_level="error",
        lifespan="off",
        ws_max_size=_LARGEST_MESSAGE,
        timeout_graceful_shutdown=1,
    )
    ready(f"http://{HOST}:{listening.getsockname()[1]}/{explorer.token}/")
    with contextlib.closing(listening):
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            explorer.trainings.stop()
