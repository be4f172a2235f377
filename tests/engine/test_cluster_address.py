"""An address of Ray where no cluster answers: an error with its name, within seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.cli import FAILED, OK
from curate.engine.cluster_address import check_cluster, refusal
from manifests.errors import ClusterError
from manifests.storage import reachable
from tests.make import write_texts
from tests.runs import curate, text_source, write_recipe
from tests.servers import dead_port, server

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture(autouse=True)
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "SECONDS", 0.5)
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", "20")  # so that the test leaves Ray's default


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_run_with_a_dead_address_ends_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    address = f"127.0.0.1:{dead_port()}"
    write_texts(tmp_path / "data", ["a text"], 1)
    write_recipe(tmp_path, text_source(), steps=[])
    options = ["--address", address] if way == "option" else []
    monkeypatch.setenv("RAY_ADDRESS", "local" if options else address)
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "-q", *options) == FAILED
    expected = f"the Ray cluster '{address}': {address} cannot be reached: Connection refused."
    assert expected in capsys.readouterr().err


def test_a_server_that_never_answers_is_no_cluster() -> None:
    with server(None) as port, pytest.raises(ClusterError, match="does not answer within"):
        check_cluster(f"127.0.0.1:{port}")


def test_a_server_of_something_else_is_no_cluster() -> None:
    refused = pytest.raises(ClusterError, match="the server at this address is not a Ray cluster")
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, refused:
        check_cluster(f"ray://127.0.0.1:{port}")


def test_a_server_that_speaks_the_protocol_is_left_to_ray() -> None:
    with server(SETTINGS) as port:
        check_cluster(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["nonsense", "http://127.0.0.1:1", "a:b", "host:", ":6379"])
def test_an_address_in_another_form_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=r"must be HOST:PORT or ray://HOST:PORT"):
        check_cluster(address)


@pytest.mark.parametrize("address", ["", "local", "auto", None])
def test_an_address_that_ray_finds_by_itself_is_not_asked(address: str | None) -> None:
    check_cluster(address)


def test_what_ray_refuses_comes_with_the_way_to_give_a_token() -> None:
    error = refusal("a:1", ConnectionError("Failed to connect\nmore lines"))
    assert str(error).startswith("the Ray cluster 'a:1': Failed to connect. Name the head node")
    assert "RAY_AUTH_TOKEN" in str(error)


def test_a_cluster_is_not_asked_if_nothing_is_to_be_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "data", ["a text"], 1)
    write_recipe(tmp_path, text_source(), steps=[])
    run = ("run", "recipe.yaml", "-o", "out", "-q")
    assert curate(tmp_path, *run, "--inline") == OK
    address = f"127.0.0.1:{dead_port()}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert curate(tmp_path, *run) == OK
    assert curate(tmp_path, *run, "--address", address) == OK
