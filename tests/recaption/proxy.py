"""A proxy on loopback, which tunnels HTTPS and forwards HTTP, and a certificate for localhost."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.recaption.endpoint import Server

USER, WORD = "someone", "pr0xy-w@rd"


class Handler(BaseHTTPRequestHandler):
    """Demands USER and WORD. `lines` has the first lines of all requests."""

    protocol_version = "HTTP/1.1"
    lines: list[str]

    def is_allowed(self) -> bool:
        self.lines.append(self.requestline)
        both = base64.b64encode(f"{USER}:{WORD}".encode()).decode()
        if self.headers["Proxy-Authorization"] == f"Basic {both}":
            return True
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        if not self.is_allowed():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            self.send_response(200)
            self.end_headers()
            both = [self.connection, server]
            with contextlib.suppress(OSError):
                while True:
                    for one in select.select(both, [], [])[0]:
                        data = one.recv(65536)
                        if not data:
                            self.close_connection = True
                            return
                        both[one is self.connection].sendall(data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_allowed():
            return
        url = urlsplit(self.path)
        server = http.client.HTTPConnection(url.netloc)
        server.request("POST", url.path, body, {"Content-Type": "application/json"})
        answer = server.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def proxying() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy without its credentials, and the lines of its requests."""
    lines = list[str]()
    server = Server(("127.0.0.1", 0), type("Own", (Handler,), {"lines": lines}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", lines
    server.shutdown()
    server.server_close()


def certificate(folder: Path) -> Path:
    """A file with a certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "localhost.pem"
    path.write_bytes(made.public_bytes(pem) + own)
    return path
