"""Fixtures for real data and Ray; markers by which `dev.py test --fast` leaves tests out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("full", deadline=None)  # a busy machine is no fault
hypothesis.settings.register_profile("fast", max_examples=20, deadline=None)
hypothesis.settings.load_profile("full")

RAY = (
    "tests/clustering/embed/test_killed.py::test_killed_workers",
    "tests/engine/test_cluster.py",
    "tests/engine/test_kill.py",
    "tests/recaption/test_budget.py::test_what_a_killed_run_paid_counts",
    "tests/recaption/test_killed.py",
    "tests/test_real_captions.py::test_ray_writes_the_same_bytes",
    "tests/test_real_grounding.py::test_ray_writes_the_same_bytes",
    "tests/test_shadows.py::test_a_ray_worker",
)
"""Starts of names of tests that start Ray without the fixture `ray`."""
REAL_TESTS = (
    "tests/recaption/test_llama_server.py",
    "tests/test_real_",
    "tests/test_run_cases.py::test_a_case",
)
"""Starts of names of tests that use third-party data or models without the fixture `real_data`."""
SLOW = (
    "tests/bad_input/test_images.py::test_a_later_frame",
    "tests/bad_input/test_text.py",
    "tests/benchmarks/test_quality.py",
    "tests/emit/test_order.py",
    "tests/emit/test_read_back.py",
    "tests/engine/test_damage.py::test_damage",
    "tests/engine/test_many_parts.py",
    "tests/engine/test_places.py",
    "tests/engine/test_probe.py::test_the_time",
    "tests/engine/test_same_bytes.py",
    "tests/engine/test_step_errors.py::test_an_image_that_comes_back",
    "tests/engine/test_time_limit.py::test_a_limit_of_0",
    "tests/filters/decontamination/test_images.py",
    "tests/filters/decontamination/test_tables.py::test_benchmarks_are_read_from_s3",
    "tests/filters/duplicates/test_bands.py::test_planted",
    "tests/filters/duplicates/test_cuts.py",
    "tests/filters/duplicates/test_families.py",
    "tests/filters/duplicates/test_index.py",
    "tests/filters/duplicates/test_perceptual.py",
    "tests/filters/duplicates/test_perceptual_runs.py",
    "tests/filters/duplicates/test_runs.py",
    "tests/filters/duplicates/test_semantic.py",
    "tests/filters/duplicates/test_survivors.py",
    "tests/filters/duplicates/test_traps.py",
    "tests/filters/image/test_image_hash",
    "tests/filters/image/test_small_image.py::test_an_image_in_several",
    "tests/hunt/test_hunt.py::test_what",
    "tests/ingest/captions/test_folder.py::test_a_file_more",
    "tests/ingest/captions/test_folder.py::test_groups",
    "tests/ingest/captions/test_llava_faults.py::test_a_truncated_compressed_array",
    "tests/ingest/captions/test_llava_faults.py::test_truncated_compressed_lines",
    "tests/ingest/captions/test_webdataset.py::test_a_remote",
    "tests/ingest/formats/test_csv_rows.py::test_a_field_of_many",
    "tests/ingest/formats/test_json_elements.py",
    "tests/ingest/formats/test_json_object.py",
    "tests/ingest/formats/test_parquet.py::test_long_values",
    "tests/ingest/formats/test_parquet.py::test_no_damage",
    "tests/ingest/formats/test_tar.py::test_a_local_tar",
    "tests/inspect/test_drawing.py::test_a_line_to_very_far_away",
    "tests/manifests/kernels/test_hamming.py",
    "tests/manifests/kernels/test_json_scan.py::test_borders",
    "tests/manifests/kernels/test_kernels.py",
    "tests/manifests/kernels/test_overlap.py",
    "tests/manifests/kernels/test_shingles.py",
    "tests/manifests/kernels/test_simd.py",
    "tests/manifests/kernels/test_squares.py::test_colours_are_the_means_of_equal_rectangles[size0]",
    "tests/manifests/models/test_pickles.py::test_a_bomb",
    "tests/manifests/storage/test_listing.py::test_a_list_that_never",
    "tests/recaption/test_answers.py",
    "tests/recaption/test_bad_replies.py",
    "tests/recaption/test_budget.py",
    "tests/recaption/test_checks.py::test_a_reply_of_a_megabyte",
    "tests/recaption/test_client.py::test_the_limit",
    "tests/recaption/test_compaction.py",
    "tests/recaption/test_failures.py",
    "tests/recaption/test_forecast.py::test_the_forecast_from",
    "tests/recaption/test_journal.py",
    "tests/recaption/test_judge.py",
    "tests/recipe/test_catalog.py::test_importing",
    "tests/recipe/test_yaml.py::test_odd_yaml_is_refused_by_line[a: &a",
    "tests/test_cli.py",
    "tests/test_demo_server.py::test_a_second",
    "tests/test_demo_server.py::test_the_recipe",
    "tests/test_demo_server.py::test_the_server",
    "tests/test_demo_server.py::test_the_shards",
    "tests/test_docs.py::test_the_readme",
    "tests/recaption/test_request_recipes.py",
    "tests/test_recipes.py",
    "tests/test_recipes_in_languages.py",
    "tests/test_run_cases.py::test_a_case",
    "tests/test_terminal.py::test_an_interrupted",
    "tests/test_terminal.py::test_an_output",
    "tests/test_terminal.py::test_quiet",
    "tests/test_terminal.py::test_streams",
    "tests/test_terminal.py::test_the_end_of_a_pipe",
)
"""Starts of names of tests that take over half a second of CPU time, or their whole file over 2."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by fixtures and names; those with Ray run one after another on one worker."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "ray" in fixtures or item.nodeid.startswith(RAY):
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.xdist_group("ray"))
        if "real_data" in fixtures or item.nodeid.startswith(REAL_TESTS):
            item.add_marker(pytest.mark.real)
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


REAL = Path(os.environ.get("CURATE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real third-party data; without it, tests that use it are skipped."""
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}: set CURATE_DATA to a folder that has it")
    return REAL


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on loopback with the bucket `tars`: the query that opens a file of it."""
    from manifests import storage

    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    host, port = server.get_host_and_port()
    query = f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    storage.filesystem(f"s3://tars/{query}&allow_bucket_creation=true")[0].create_dir("tars")
    yield query
    server.stop()


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One Ray for a file of tests; executors connect to it and leave it running.

    Not one for the whole session: workers keep the folder that Ray was started in, and commands
    of tests with relative paths start a Ray of their own.
    """
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level="ERROR")
    yield
    ray.shutdown()
