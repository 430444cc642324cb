"""The explorer's server: on this machine only, behind a token, one connection per page."""

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
from jcnn.explore.memory import ProgramMemory
from jcnn.explore.session import Session
from jcnn.explore.subject import Subject

HOST = "127.0.0.1"
_HOSTS = (HOST, "localhost")
_PAGE = Path(__file__).resolve().parent / "page"
_LARGEST_MESSAGE = 2**16
_SAFE = {
    "Referrer-Policy": "no-referrer",  # links must not pass the token on
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_SAME_ORIGIN = {"Content-Security-Policy": "default-src 'self'; img-src 'self' data:"}
# A report contains its styles, scripts and pictures, and must not load anything.
_SELF_CONTAINED = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
}


class Explorer:
    """The web application and its token; `serve` runs it.

    Every path begins with the token. A request with a wrong token gets 404. A request for another
    host than this machine, or from a page of another origin, is refused.
    """

    def __init__(self, subject: Subject, *, report: Callable[[], str] | None = None) -> None:
        """`report` returns the explored study's report as HTML; it is called once, when needed."""
        self.token = secrets.token_urlsafe(16)
        self.trainings, self.memory = Trainings(), ProgramMemory()
        self._subject, self._report = subject, report
        self._page: str | None = None
        self._lock = threading.Lock()
        routes = [
            Route("/{token}", self._without_slash),
            Route("/{token}/", self._index),
            Route("/{token}/report", self._report_page),
            Route("/{token}/page/{name:path}", self._file),
            WebSocketRoute("/{token}/socket", self._connect),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*_HOSTS], www_redirect=False)
        self.app = Starlette(routes=routes, middleware=[hosts])
        self.app.router.redirect_slashes = False  # a wrong token must not be redirected

    def _has_token(self, parameters: Mapping[str, Any]) -> bool:
        return secrets.compare_digest(str(parameters["token"]).encode(), self.token.encode())

    def _check(self, request: Request) -> None:
        if not self._has_token(request.path_params):
            raise HTTPException(404)

    async def _without_slash(self, request: Request) -> Response:
        self._check(request)
        return RedirectResponse(f"/{self.token}/", headers=_SAFE)

    async def _index(self, request: Request) -> Response:
        self._check(request)
        return FileResponse(_PAGE / "explore.html", headers=_SAFE | _SAME_ORIGIN)

    async def _file(self, request: Request) -> Response:
        self._check(request)
        try:
            path = (_PAGE / request.path_params["name"]).resolve()
            exists = path.is_relative_to(_PAGE) and path.is_file()
        except (OSError, ValueError):  # not a valid file name
            exists = False
        if not exists:
            raise HTTPException(404)
        return FileResponse(path, headers=_SAFE | _SAME_ORIGIN)

    async def _report_page(self, request: Request) -> Response:
        self._check(request)
        if self._report is None:
            raise HTTPException(404, "no study is being explored")
        page = await run_in_threadpool(self._render_report, self._report)
        return HTMLResponse(page, headers=_SAFE | _SELF_CONTAINED)

    def _render_report(self, report: Callable[[], str]) -> str:
        with self._lock:
            if self._page is None:
                self._page = report()
        return self._page

    async def _connect(self, connection: WebSocket) -> None:
        origin = connection.headers.get("origin", "")
        same = f"http://{connection.headers.get('host', '')}"
        if not self._has_token(connection.path_params) or origin not in ("", same):
            await connection.close()  # before accepting: the client gets 403
            return
        await connection.accept()
        await Session(connection, self._subject, self.trainings, self.memory).run()


def serve(explorer: Explorer, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until interrupted; call `ready` with the address.

    Port 0 means any free port. Raises UsageError if the port is not available.

    >>> from jcnn.explore.subject import load_subject
    >>> explorer = Explorer(load_subject("digits", None))
    >>> len(explorer.token)
    22
    >>> serve(explorer, ready=print)  # doctest: +SKIP
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # connections made before the server runs wait
    except (OSError, OverflowError) as error:
        listening.close()
        raise UsageError(f"--port {port}: {error}; omit --port to use any free port") from None
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
