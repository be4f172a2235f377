"""A record that lost a part says so in `meta`, and only such a record does."""

from __future__ import annotations

import json

import pyarrow as pa

from manifests.record import lost_parts, with_lost


def test_numbers_of_lost_parts_are_added_to_those_that_are_known() -> None:
    once = with_lost({"a": 1}, annotations=2)
    assert once == {"a": 1, "curate.lost": {"annotations": 2}}
    twice = with_lost(once, annotations=1, images=1)
    assert twice == {"a": 1, "curate.lost": {"annotations": 3, "images": 1}}
    assert (with_lost({"a": 1}, annotations=0), with_lost(None)) == ({"a": 1}, {})


def test_only_the_key_itself_marks_a_record() -> None:
    metas = [
        json.dumps(with_lost({}, turns=1)), None, "{}", '{"a": "curate.lost"}',
        '{"a": {"curate.lost": {"images": 1}}}', '["curate.lost"]', '{"curate.lost": {}}',
    ]  # fmt: skip
    marked = [True] + [False] * 6
    assert lost_parts(pa.array(metas, pa.string())).tolist() == marked
    chunks = pa.chunked_array([pa.array(metas[:3], pa.string()), pa.array(metas[3:], pa.string())])
    assert lost_parts(chunks).tolist() == marked
