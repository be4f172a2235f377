"""The proxies of the environment are used, and their credentials are shown nowhere."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from manifests.errors import EndpointError
from manifests.run.manifest import RunManifest
from recaption.client.proxies import proxy_of
from tests.recaption.endpoint import Endpoint
from tests.recaption.proxy import USER, WORD, certificate, proxying
from tests.recaption.recaption_runs import TEXTS, run, statuses, write

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
QUOTED = WORD.replace("@", "%40")


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def secure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_long_waits: None
) -> Iterator[Endpoint]:
    """A server with HTTPS, whose certificate is accepted."""
    path = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    with Endpoint(tls=tls).serving() as serving:
        yield serving


def asked(base: Path, endpoint: Endpoint) -> RunManifest:
    write(base)
    made = run(base, endpoint)
    assert statuses(base, made) == {"rewritten": len(TEXTS)}
    assert not any(
        WORD.encode() in path.read_bytes() or QUOTED.encode() in path.read_bytes()
        for path in base.rglob("*")
        if path.is_file()
    )
    return made


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(
    tmp_path: Path, secure: Endpoint, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with proxying() as (address, lines):
        monkeypatch.setenv(name, f"http://{USER}:{QUOTED}@{address}")
        asked(tmp_path, secure)
    place = secure.url.removeprefix("https://").removesuffix("/v1")
    assert {*lines} == {f"CONNECT {place} HTTP/1.1"} or {*lines} == {f"CONNECT {place} HTTP/1.0"}


def test_http_goes_through_the_proxy(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as (address, lines):
        monkeypatch.setenv("HTTP_PROXY", f"http://{USER}:{QUOTED}@{address}")
        asked(tmp_path, endpoint)
    assert lines == [f"POST {endpoint.url}/chat/completions HTTP/1.1"] * len(TEXTS)


def test_no_proxy_names_hosts_that_are_reached_directly(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as (address, lines):
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.1")
        asked(tmp_path, endpoint)
    assert lines == []


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_proxy_that_refuses_the_credentials_stops_the_run(
    tmp_path: Path, endpoint: Endpoint, secure: Endpoint, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write(tmp_path)
    with proxying() as (address, _):
        monkeypatch.setenv(f"{kind.upper()}_PROXY", f"http://{USER}:wrong-secret@{address}")
        with pytest.raises(EndpointError, match="HTTP 407") as raised:
            run(tmp_path, secure if kind == "https" else endpoint)
    assert "wrong-secret" not in str(raised.value)
    assert endpoint.asked == secure.asked == []


def test_a_variable_that_names_no_proxy_is_an_error_without_its_value(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"socks5://{USER}:hidden-word@127.0.0.1:1")
    write(tmp_path)
    with pytest.raises(EndpointError, match="HTTP_PROXY is not the address of an HTTP") as raised:
        run(tmp_path, endpoint)
    assert "hidden-word" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128),
        ("proxy.example:3128", "proxy.example", 3128),
        ("http://proxy.example", "proxy.example", 80),
        ("http://[::1]:3128", "::1", 3128),
    ],
)
def test_an_address_of_a_proxy_may_lack_its_scheme_or_port(
    monkeypatch: pytest.MonkeyPatch, value: str, host: str, port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    assert proxy_of("http", "models.example", None) == (host, port, {})
    assert proxy_of("https", "models.example", None) is None


def test_name_and_password_of_a_proxy_are_unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://some%40one:a%3Ab@proxy.example:3128")
    found = proxy_of("https", "models.example", 8000)
    pair = base64.b64encode(b"some@one:a:b").decode()
    assert found == ("proxy.example", 3128, {"Proxy-Authorization": f"Basic {pair}"})


@pytest.mark.parametrize(
    "value", ["http://", "http://proxy.example:port", "http://[::1", "ftp://a"]
)
def test_a_value_that_is_no_address_of_a_proxy_is_an_error(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(EndpointError, match=r"example:8000: .* ALL_PROXY is not the address"):
        proxy_of("http", "models.example", 8000)


@pytest.mark.parametrize(
    ("value", "is_direct"),
    [
        ("models.example:8000", True),
        ("models.example:9000", False),
        (".example", True),
        ("*", True),
    ],
)
def test_no_proxy_may_name_a_port_or_a_domain(
    monkeypatch: pytest.MonkeyPatch, value: str, is_direct: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", value)
    assert (proxy_of("http", "models.example", 8000) is None) is is_direct
