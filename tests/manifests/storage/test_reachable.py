"""Object storage that cannot be reached, or refuses: an error with its name, within seconds."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from curate.cli import FAILED
from manifests import storage
from manifests.errors import MediaError, StorageError
from manifests.media import Media, Reference
from manifests.storage import reachable
from tests.runs import curate, text_source, write_recipe
from tests.servers import dead_port, server


def answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def bucket(port: int) -> str:
    return f"s3://bucket/data.jsonl?endpoint_override=127.0.0.1%3A{port}&scheme=http&region=r"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "SECONDS", 0.5)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")


def test_an_endpoint_where_nothing_listens_is_named() -> None:
    with pytest.raises(StorageError, match=r"s3://bucket.*the endpoint 127\.0\.0\.1:\d+ cannot be"):
        storage.list_files(bucket(dead_port()))


def test_an_endpoint_that_never_answers_is_named_and_not_asked_again() -> None:
    silent = pytest.raises(StorageError, match="does not answer within")
    with server(None) as port, silent:
        storage.exists(bucket(port))
    with pytest.raises(StorageError, match="does not answer within"):  # now it would be refused
        storage.exists(bucket(port))


def test_a_name_of_no_machine_is_named() -> None:
    with pytest.raises(StorageError, match=r"no machine has the name 'nowhere\.invalid'"):
        storage.read_bytes("s3://b/a?endpoint_override=nowhere.invalid:90&scheme=http&region=r")


def test_the_endpoint_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{dead_port()}")
    with pytest.raises(StorageError, match="the endpoint 127"):
        storage.names("s3://another/folder?region=r")


def test_credentials_that_are_refused_stop_a_run_with_what_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(answer("403 Forbidden")) as port:
        write_recipe(tmp_path, {**text_source(), "path": bucket(port)}, steps=[])
        assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == FAILED
    printed = capsys.readouterr().err
    assert "ACCESS_DENIED" in printed
    assert "Check the address, the region, the credentials" in printed
    assert "fault in curate" not in printed


def test_a_medium_on_a_dead_endpoint_costs_its_record() -> None:
    reference = Reference(bucket(dead_port()), None, None)
    with pytest.raises(MediaError, match="the endpoint 127"):
        Media().read(reference)
    with pytest.raises(MediaError, match="the endpoint 127"):
        Media().header(reference)


def test_the_connection_with_tls_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    def encrypted(plain: socket.socket) -> socket.socket:
        made.append(socket.socket(fileno=plain.detach()))  # as SSLContext.wrap_socket does
        made[0].settimeout(5)
        return made[0]

    monkeypatch.setattr(reachable, "_encrypted", encrypted)
    with server(answer("200 OK")) as port:
        assert reachable.first_answer("127.0.0.1", port, b"HEAD", tls=True)
    assert made[0].fileno() == -1
