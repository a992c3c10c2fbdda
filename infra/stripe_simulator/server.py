"""The HTTP shell: acts out over real sockets what the core answers."""

import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from infra.stripe_simulator.control import answer
from infra.stripe_simulator.messages import Deliver, Hang, Request, Reset, Response
from infra.stripe_simulator.simulator import StripeSimulator

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Served:
    """A simulator that listens at `url`."""

    url: str


@contextmanager
def serve(simulator: StripeSimulator, port: int = 0, host: str = "127.0.0.1") -> Iterator[Served]:
    """Serve `simulator` over HTTP until the block ends; port 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    server = _Server((host, port), simulator)
    # The poll interval bounds how long a stop takes.
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield Served(f"http://{host}:{server.server_address[1]}")
    finally:
        server.stop()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: StripeSimulator) -> None:
        self.simulator = simulator
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def stop(self) -> None:
        """Stop listening and end every open connection."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._guard:
            for connection in self._open:
                _shut(connection)

    def process_request(
        self,
        request: socket.socket | tuple[bytes, socket.socket],
        client_address: object,
    ) -> None:
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.discard(request)
            if request.fileno() >= 0 and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
                # An orderly shutdown would send FIN before the reset.
                self.close_request(request)
                return
        super().shutdown_request(request)

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client went away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    connection: socket.socket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _answer(self) -> None:
        stated = self.headers.get("Content-Length", "0")
        if not stated.isdecimal():
            self.send_error(400, "Content-Length is not a number")
            return
        body = self.rfile.read(int(stated))
        if len(body) < int(stated):
            # The client left before it had said everything: that is no request.
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=unquote(path),
            query=query.encode(),
            body=body,
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        response = answer(self.server.simulator, request)
        match response.delivery:
            case Deliver(after_seconds=seconds):
                try:
                    self._wait(seconds)
                finally:
                    self.server.simulator.finished(response)
                self._send(response)
            case Hang(seconds=seconds):
                self._wait(seconds)
                self.close_connection = True
            case Reset():
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self.close_connection = True

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server looks these names up

    def _wait(self, seconds: float) -> None:
        """Wait, unless the client goes away or the server stops first."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.server.stopping.wait(min(left, _POLL_SECONDS)):
                return
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status)
        now = self.server.simulator.clock()
        self.send_header("Date", format_datetime(now.astimezone(UTC), usegmt=True))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing: the core keeps the requests."""


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was first
