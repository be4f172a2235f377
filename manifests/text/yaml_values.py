"""Parses small YAML and JSON files that a setting names, such as class names and labels."""

from __future__ import annotations

from typing import Any

import yaml

from manifests.errors import InputError


class _OneOfEachKey(yaml.SafeLoader):
    """Loads YAML, and refuses a mapping that has a key twice. PyYAML itself would keep the last
    value of such a key, without an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                first = seen[key.value]
                raise _Repeated(f"line {line}: the key {key.value!r:.80} is in line {first} too.")
            seen[key.value] = line
        return super().construct_mapping(node, deep)


class _Repeated(Exception):
    pass


def parse_yaml(text: str, place: str, fix: str = "") -> Any:
    """Returns the value of a YAML or JSON text. Raises InputError if the text is broken, is nested
    too deeply, or has a mapping with a key twice.

    The error message contains `place`, the file or setting, and `fix`, which describes the expected
    form of the text.
    """
    try:
        return yaml.load(text, _OneOfEachKey)
    except _Repeated as error:
        raise InputError(str(error), place, "Keep only one of the two keys.") from None
    except RecursionError:
        raise InputError("the values are nested too deeply.", place, fix) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"broken YAML: {' '.join(str(error).split())}.", place, fix) from None
