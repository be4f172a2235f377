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
    "tests/clustering/embed/test_embed_patches.py",
    "tests/clustering/embed/test_endpoint.py",
    "tests/clustering/embed/test_killed.py",
    "tests/clustering/embed/test_ngrams.py",
    "tests/clustering/test_cluster.py",
    "tests/clustering/test_cluster_runs.py",
    "tests/clustering/test_near.py",
    "tests/clustering/test_retrieve.py",
    "tests/emit/test_order.py",
    "tests/emit/test_read_back.py",
    "tests/engine/test_cluster_address.py::test_a_cluster_is_not_asked",
    "tests/engine/test_contract.py::test_a_run_that_stops",
    "tests/engine/test_damage.py::test_a_damaged_file_is_named_also",
    "tests/engine/test_damage.py::test_damage",
    "tests/engine/test_files_beside.py::test_a_changed_file",
    "tests/engine/test_many_parts.py",
    "tests/engine/test_places.py",
    "tests/engine/test_probe.py::test_the_time",
    "tests/engine/test_same_bytes.py",
    "tests/engine/test_step_errors.py::test_a_row_that_spoils",
    "tests/engine/test_step_errors.py::test_an_error_of_any_kind",
    "tests/engine/test_step_errors.py::test_an_image_that_comes_back",
    "tests/engine/test_time_limit.py::test_a_limit_of_0",
    "tests/engine/test_time_limit.py::test_a_process_is_ended",
    "tests/filters/decontamination/test_images.py",
    "tests/filters/decontamination/test_tables.py::test_benchmarks_are_read_from_s3",
    "tests/filters/duplicates/test_bands.py::test_planted",
    "tests/filters/duplicates/test_cuts.py",
    "tests/filters/duplicates/test_families.py",
    "tests/filters/duplicates/test_forest.py::test_the_most_similar",
    "tests/filters/duplicates/test_index.py",
    "tests/filters/duplicates/test_perceptual.py",
    "tests/filters/duplicates/test_perceptual_runs.py",
    "tests/filters/duplicates/test_runs.py",
    "tests/filters/duplicates/test_second_look.py::test_an_image_of_another_colour",
    "tests/filters/duplicates/test_semantic.py",
    "tests/filters/duplicates/test_survivors.py",
    "tests/filters/duplicates/test_traps.py",
    "tests/filters/image/test_faces.py",
    "tests/filters/image/test_image_hash",
    "tests/filters/image/test_nsfw.py",
    "tests/filters/image/test_small_image.py::test_an_image_in_several",
    "tests/hunt/test_hunt.py::test_what",
    "tests/hunt/test_sensitivity.py",
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
    "tests/ingest/formats/test_tar.py::test_a_cut_tar",
    "tests/ingest/formats/test_tar.py::test_a_local_tar",
    "tests/ingest/grounding/test_mutated.py",
    "tests/ingest/test_remote_folders.py",
    "tests/inspect/test_clusters.py",
    "tests/inspect/test_damaged_files.py::test_a_damaged_file",
    "tests/inspect/test_drawing.py::test_a_line_to_very_far_away",
    "tests/inspect/test_show_prompt.py",
    "tests/manifests/kernels/test_hamming.py",
    "tests/manifests/kernels/test_json_scan.py::test_borders",
    "tests/manifests/kernels/test_kernels.py",
    "tests/manifests/kernels/test_minhash.py::test_a_sketch",
    "tests/manifests/kernels/test_overlap.py",
    "tests/manifests/kernels/test_shingles.py",
    "tests/manifests/kernels/test_simd.py",
    "tests/manifests/kernels/test_squares.py::test_colours_are_the_means_of_equal_rectangles[size0]",
    "tests/manifests/media/test_header.py::test_damage",
    "tests/manifests/models/test_fasttext.py::test_a_model_with_a_changed_byte",
    "tests/manifests/models/test_pickles.py::test_a_bomb",
    "tests/manifests/models/test_qwen_tokenizer.py::test_a_text_that_would",
    "tests/manifests/storage/test_listing.py::test_a_list_that_never",
    "tests/manifests/test_yaml_values.py::test_what_is_broken",
    "tests/recaption/locate/test_agreement.py",
    "tests/recaption/locate/test_locate.py::test_coordinates_are_on",
    "tests/recaption/test_answers.py",
    "tests/recaption/test_bad_replies.py",
    "tests/recaption/test_bills.py",
    "tests/recaption/test_budget.py",
    "tests/recaption/test_checks.py::test_a_reply_of_a_megabyte",
    "tests/recaption/test_client.py::test_the_limit",
    "tests/recaption/test_compaction.py",
    "tests/recaption/test_failures.py",
    "tests/recaption/test_forecast.py",
    "tests/recaption/test_journal.py",
    "tests/recaption/test_judge.py",
    "tests/recaption/test_label.py::test_any_other_reply",
    "tests/recaption/test_proxies.py::test_https",
    "tests/recaption/test_request_recipes.py",
    "tests/recaption/test_spool.py",
    "tests/recipe/test_catalog.py::test_importing",
    "tests/recipe/test_recipe.py::test_the_exported_schema",
    "tests/recipe/test_variables.py",
    "tests/recipe/test_yaml.py",
    "tests/sampling/test_clusters.py::test_a_sample_is_balanced",
    "tests/sampling/test_dsir.py::test_tokens_are",
    "tests/sampling/test_entity_weights.py",
    "tests/sampling/test_sample.py",
    "tests/sampling/test_sampling_runs.py",
    "tests/test_cli.py",
    "tests/test_concept_recipes.py",
    "tests/test_demo_server.py::test_a_second",
    "tests/test_demo_server.py::test_the_recipe",
    "tests/test_demo_server.py::test_the_server",
    "tests/test_demo_server.py::test_the_shards",
    "tests/test_docs.py::test_the_readme",
    "tests/test_recipes.py",
    "tests/test_recipes_in_languages.py",
    "tests/test_run_cases.py::test_a_case",
    "tests/test_terminal.py::test_an_interrupted",
    "tests/test_terminal.py::test_an_output",
    "tests/test_terminal.py::test_no_command_prints",
    "tests/test_terminal.py::test_nothing_is_imported",
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
