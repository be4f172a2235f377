"""The labels of a record that are known to be absent, and the objects with a true attribute."""

from __future__ import annotations

import pyarrow as pa

from manifests.record import known_absent, with_true


def test_only_a_list_under_the_key_itself_names_absent_labels() -> None:
    metas = [
        '{"curate.absent": ["dog"]}', '{"curate.absent": []}', None, "{}", '["curate.absent"]',
        '{"a": {"curate.absent": ["dog"]}}', '{"curate.absent": "dog"}',
    ]  # fmt: skip
    known = [["dog"], [], None, None, None, None, None]
    assert known_absent(pa.array(metas, pa.string())) == known
    chunks = pa.chunked_array([pa.array(metas[:3], pa.string()), pa.array(metas[3:], pa.string())])
    assert known_absent(chunks) == known


def test_an_attribute_is_true_under_its_own_name() -> None:
    attributes = ['{"a": 1}', '{"a": 0}', '{"b": true}', '{"c": "a"}', None, '["a"]']
    found = with_true(pa.array(attributes, pa.string()), ["a", "b"])
    assert found.tolist() == [True, False, True, False, False, False]
