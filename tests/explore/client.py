"""A client of the explorer's server."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

from websockets.sync.client import connect


def fetched(address, **headers):
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def socket_of(address, **options):
    return connect(address.replace("http", "ws", 1) + "socket", max_size=2**24, **options)


def send(connection, **message):
    connection.send(json.dumps(message))


def answer(connection, *kinds, seconds=120):
    """Return the next message of these kinds."""
    until = time.monotonic() + seconds
    while True:
        message = json.loads(connection.recv(timeout=until - time.monotonic()))
        if message["kind"] in kinds:
            return message


def parts(address):
    """Return an address without its token, and the token."""
    root, token, _ = address.rsplit("/", 2)
    return root, token
