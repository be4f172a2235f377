"""Reads the YAML files of the presets, which are in the folder of this module.

A file gives each setting its value and the evidence for the value. `published` means that the
number is in the authors' own code or paper. `documented` means that the authors of a library or
model recommend the number. `ours` means that we chose the number. `source` names one of the file's
`sources`, and `detail` is the place in that source. `differs` explains how our measure differs from
the measure of the source.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_ENDING = ".yaml"
Kind = Literal["published", "documented", "ours"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setting(_Entry):
    """One setting of a step, and where its value comes from. `evidence` is `published`,
    `documented` or `ours` (we chose the value). `source` is a key of the preset's `sources`, and
    `detail` the place in this source. `differs` says how our measure differs from the measure of
    the source."""

    value: Any
    evidence: Kind
    source: str
    detail: str = ""
    differs: str = ""


class Evidence(_Entry):
    """Where the value of a setting comes from, in texts for the user. `kind` is `published`,
    `documented` or `ours` (we chose the value). `where` names the source and the place in the
    source. `differs` says how our measure differs from the measure of the source; "" if it does not
    differ."""

    kind: Kind
    where: str
    differs: str


class Preset(_Entry):
    """A list of steps that a recipe includes by one name. `left_out` lists published rules that the
    steps do not implement."""

    description: str
    sources: dict[str, str]
    settings: list[dict[str, dict[str, Setting]]] = Field(alias="steps", min_length=1)
    left_out: list[str] = []

    @field_validator("settings")
    @classmethod
    def _one_step_each(cls, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for step in steps:
            if len(step) != 1:
                raise ValueError(f"a step must be one name with its settings, not {list(step)}")
        return steps

    @model_validator(mode="after")
    def _sources_are_named(self) -> Preset:
        used = {setting.source for _, _, setting in self._each()}
        if used != set(self.sources):
            raise ValueError(
                "`sources` must list exactly those sources that the settings name: it lists "
                f"{sorted(self.sources)}, but the settings name {sorted(used)}"
            )
        return self

    @property
    def steps(self) -> list[dict[str, dict[str, Any]]]:
        """The steps in the form in which a recipe lists them: `[{"words": {"min": 3}}]`."""
        return [
            {step: {name: setting.value for name, setting in given.items()}}
            for entry in self.settings
            for step, given in entry.items()
        ]

    @property
    def evidence(self) -> dict[str, Evidence]:
        """Where the value of each setting comes from, by the key `step.setting`."""
        return {f"{step}.{name}": self._evidence(setting) for step, name, setting in self._each()}

    def _each(self) -> list[tuple[str, str, Setting]]:
        return [
            (step, name, setting)
            for entry in self.settings
            for step, given in entry.items()
            for name, setting in given.items()
        ]

    def _evidence(self, setting: Setting) -> Evidence:
        where = ": ".join(filter(None, (self.sources[setting.source], setting.detail)))
        return Evidence(kind=setting.evidence, where=where, differs=setting.differs)


@cache
def load_presets() -> dict[str, Preset]:
    """Load all presets, by the names of their files, in order."""
    files = [f for f in resources.files(__package__).iterdir() if f.name.endswith(_ENDING)]
    texts = {f.name.removesuffix(_ENDING): f.read_text("utf-8") for f in files}
    return {name: Preset.model_validate(yaml.safe_load(texts[name])) for name in sorted(texts)}
