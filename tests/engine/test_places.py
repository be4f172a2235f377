"""Where a run reads and writes: S3, a full disk, unusual environments."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from curate import recipe
from curate.engine import time_limit
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from manifests.errors import StorageError
from manifests.run.verify import verify
from tests.engine.contract_runs import quarantine
from tests.make import write_captions
from tests.runs import caption_recipe, environment, file_bytes, run_engine


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[object, str]]:
    """A client of an S3 server in this process, and the query to append to uris of its bucket."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="corpus")
    ending = f"?endpoint_override={host}%3A{port}&scheme=http&region=us-east-1"
    yield client, ending
    server.stop()


def test_a_run_reads_from_s3_and_writes_to_s3(tmp_path: Path, bucket: tuple[object, str]) -> None:
    client, ending = bucket
    write_captions(tmp_path / "data", files=2, rows=10)
    for path in (tmp_path / "data").rglob("*.*"):
        name = f"data/{path.relative_to(tmp_path / 'data')}"
        client.upload_file(str(path), "corpus", name)  # type: ignore[attr-defined]
    what = caption_recipe(path=f"s3://corpus/data/*.jsonl{ending}")
    what["sources"][0]["media_root"] = f"s3://corpus/data{ending}"
    out = f"s3://corpus/out{ending}"
    loaded = recipe.build(what)
    made = Run(loaded, out, Inline(), Progress(quiet=True))()
    assert made.shards["arrow"].rows == 16
    assert verify(out).faults == []
    again = Run(loaded, out, Inline(), Progress(quiet=True))()
    assert again.digest == made.digest


def test_objects_whose_names_are_no_paths_are_failures_by_name(
    tmp_path: Path, bucket: tuple[object, str]
) -> None:
    """`a.jsonl?1.jsonl` must not be read as `a.jsonl`, and the folder `d[1]` not as `d1`."""
    client, ending = bucket
    for name in ("a.jsonl", "a.jsonl?1.jsonl", "x//b.jsonl", "e+f %20.jsonl"):
        body = json.dumps({"t": name}).encode()
        client.put_object(Bucket="corpus", Key=f"d[1]/{name}", Body=body)  # type: ignore[attr-defined]
    client.put_object(Bucket="corpus", Key="d1/no.jsonl", Body=b"{}")  # type: ignore[attr-defined]
    reader = {"name": "a", "reader": "table", "path": f"s3://corpus/d[1]{ending}", "text": "t"}
    made = Run(
        recipe.build({"name": "t", "sources": [reader], "steps": []}),
        str(tmp_path / "out"), Inline(), Progress(quiet=True),
    )()  # fmt: skip
    assert made.shards["arrow"].rows == 2
    failed = [row["origin"] for row in quarantine(tmp_path)]
    assert sorted(uri.removesuffix(ending) for uri in failed) == [
        "s3://corpus/d[1]/a.jsonl?1.jsonl",
        "s3://corpus/d[1]/x//b.jsonl",
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_full_before_a_part_is_a_named_error(small_disk: Path) -> None:
    with contextlib.suppress(OSError), (small_disk / "fill").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with (
        pytest.raises(StorageError, match="no space left on the device"),
        time_limit.supervised(),
        time_limit.limiting(str(small_disk), "part", "inputs", 1),
    ):
        time_limit.current().call("step", 0, 1, lambda: None)


def test_a_full_disk_is_a_named_error_and_the_run_continues_when_there_is_space(
    tmp_path: Path, small_disk: Path
) -> None:
    write_captions(tmp_path / "data", files=6, rows=60)
    with pytest.raises(StorageError, match="no space left on the device"):
        run_engine(caption_recipe(), tmp_path, small_disk / "out")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run_engine(caption_recipe(), tmp_path, small_disk / "out")
    run_engine(caption_recipe(), tmp_path, tmp_path / "reference")
    assert verify(str(small_disk / "out")).faults == []
    assert file_bytes(small_disk / "out") == file_bytes(tmp_path / "reference")


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "4242"},
        {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_PROCID": "2",
         "SLURM_NTASKS": "4", "RANK": "1", "WORLD_SIZE": "4"},
        {"LANG": "C", "LC_ALL": "C"},
        {"TZ": "Asia/Kathmandu"},
    ],
)  # fmt: skip
def test_environment_variables_change_no_byte(tmp_path: Path, changes: dict[str, str]) -> None:
    write_captions(tmp_path / "data", files=2, rows=20)
    what = caption_recipe(
        steps=[{"words": {"min": 5}}, {"sample": {"records": 12}}, {"language": {}}]
    )
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(what))
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", "--inline", "-q"]
    subprocess.run(
        command, cwd=tmp_path, env=environment(**changes), check=True, capture_output=True
    )
    run_engine(what, tmp_path, tmp_path / "reference")
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "reference")
