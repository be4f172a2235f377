"""Checks a recipe, and builds its readers and steps. An error gives the line, the field and the
nearest valid spelling."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from curate import catalog
from curate.emit.rows import check_columns
from curate.emit.settings import Shards
from curate.engine.planned import PlannedStep, part_schema
from curate.ingest.reader import Reader
from curate.recipe.presets import load_presets
from curate.recipe.references import check_sources, with_maker
from curate.recipe.refusal import refusal
from curate.recipe.renames import new_column, refuse_old
from curate.recipe.text import Text, assign, read
from curate.recipe.values import Path, Variable, filled, names
from manifests import storage
from manifests.errors import RecipeError
from manifests.media import Limits
from manifests.record import MODALITIES
from manifests.run.manifest import RunManifest
from manifests.run.variables import Variables, VariableSetting, check, put, value_digest
from manifests.setting_values import plain_number
from manifests.step import CorpusStep, RowStep
from manifests.step.spelling import nearest
from manifests.visible import PASSWORD_FAULT, PASSWORD_FIX, has_password

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


def _bare_names(steps: Any) -> Any:
    """Give each step that is only a name, as in `- image_decodes`, an empty mapping of settings."""
    if not isinstance(steps, list):
        return steps
    return [{step: {}} if isinstance(step, str) else step for step in steps]


class Recipe(BaseModel):
    """All settings of a run. `sources` and `steps` are checked later, against the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[\w.-]+$", description="name of the run, in its manifest")
    seed: int = Field(
        0,
        ge=0,
        description="seed of all random decisions: each decision is a hash of the seed and the "
        "record's id",
    )
    sources: list[dict[str, Any]] = Field(
        min_length=1, description="the data sets to read, each with its reader"
    )
    steps: Annotated[list[dict[str, Any]], BeforeValidator(_bare_names)] = Field(
        default_factory=list,
        description="steps that measure, drop or change the records, in order",
    )
    shards: Shards = Field(
        default_factory=Shards, description="format and size of the output files"
    )
    media: Limits = Field(default_factory=Limits, description="limits on the size of media files")
    max_quarantined: int | float = Field(
        0.5,
        ge=0,
        description="error budget: a share of the inputs (below 1) or a number; the run fails "
        "when more inputs are quarantined (the default is our choice)",
    )
    max_cpu_seconds: float = Field(
        30,
        ge=0,
        description="CPU seconds that a reader or a step may take for one record; 0: no limit "
        "(the default is our choice)",
    )

    _plain_numbers = field_validator("*", mode="before")(plain_number)

    @field_validator("max_quarantined", mode="before")
    @classmethod
    def _is_number(cls, budget: Any) -> Any:
        if isinstance(budget, str):
            raise ValueError(
                f"{budget!r:.80} is not a number. Write a share below 1, such as 0.05 for 5 %, or "
                "a whole number"
            )
        return budget

    @field_validator("max_quarantined")
    @classmethod
    def _is_share_or_count(cls, budget: int | float) -> int | float:
        if isinstance(budget, float) and budget >= 1:
            raise ValueError(
                f"{budget} may be a share of the inputs or a number of them. Write a share below "
                "1, such as 0.99, or a whole number"
            )
        return budget


class Loaded(NamedTuple):
    """A recipe, and the readers and steps built from it. `base` is the folder where relative uris
    start. `variables` are the settings whose values contain environment variables, by their
    paths."""

    recipe: Recipe
    readers: list[Reader]
    steps: list[PlannedStep]
    base: str
    variables: dict[Path, Variable]

    @property
    def content(self) -> dict[str, Any]:
        """The recipe as plain data, from which `curate rerun` builds the same run again. The data
        has the names of environment variables instead of their values."""
        content = self.recipe.model_dump(mode="json")
        for path, variable in self.variables.items():
            put(content, [*path], variable.text)
        return content

    def kept_variables(self) -> Variables:
        """The environment variables that the recipe uses, in the form that the manifest of the run
        stores: the names of the variables and the digests of their values, not the values."""
        used = sorted({n for v in self.variables.values() for n in names(v.text)})
        known = {name: os.environ.get(name) for name in used}
        seed = self.recipe.seed
        return Variables(
            settings=[
                VariableSetting(path=[*path], text=one.text, plain=one.plain)
                for path, one in self.variables.items()
            ],
            digests={n: None if v is None else value_digest(n, v, seed) for n, v in known.items()},
        )

    def identity(self, planned: PlannedStep) -> dict[str, Any]:
        """The identity of a step (all that determines its results) as the manifest of its pass
        stores it. A value that contains an environment variable is replaced by its text in the
        recipe, such as `${KEY}`."""
        identity = planned.identity(self.base, self.recipe.seed)
        for path, variable in self.variables.items():
            own = [*path[len(planned.place) :]]
            if planned.place and path[: len(planned.place)] == planned.place and own:
                where = own[:2] if own[0] == "only" else ["parameters", *own]
                put(identity, where, variable.text)
        return identity


def load(uri: str, settings: list[str] | None = None, base: str = "") -> Loaded:
    """Read, expand and check a recipe file. `settings` are changes to the recipe, such as
    `steps.words.min=5`. The changes are applied last, after the recipe is merged with the files
    that it includes. Relative uris start in the folder `base`."""
    content, text = read(uri)
    for setting in settings or []:
        assign(content, setting, text)
    return build(content, text, base)


def of_manifest(made: RunManifest, place: str, base: str = "") -> Loaded:
    """Build the recipe of an earlier run from its manifest. The values of environment variables are
    taken from the present environment.

    `place` is the manifest's place, for error messages. Raises RecipeError if a variable is not set
    or has another value than in the earlier run.
    """
    check(made.variables, made.seed, place)
    content, text = copy.deepcopy(made.recipe), Text(place, {}, {})
    for one in made.variables.settings:
        put(content, one.path, filled(one.text, one.plain, place))
        text.variables[tuple(one.path)] = Variable(one.text, one.plain)
    return build(content, text, base)


def build(content: dict[str, Any], text: Text | None = None, base: str = "") -> Loaded:
    """Build a recipe from plain data: the content of a recipe file or of a manifest. `text` has the
    lines of the file, for error messages. Relative uris start in the folder `base`."""
    text = text or Text("recipe", {}, {})
    _refuse_passwords(content, text, ())
    recipe = _model(Recipe, content, text, ())
    readers = [_reader(s, text, ("sources", i)) for i, s in enumerate(recipe.sources)]
    twice = [name for name, n in Counter(r.name for r in readers).items() if n > 1]
    if twice:
        fault = f"several sources have the name '{twice[0]}'."
        raise RecipeError(fault, text.place(("sources",)), "Give each source its own name.")
    steps = _steps(_expand(recipe.steps, text), text)
    check_sources(steps, [reader.name for reader in readers], text)
    at = text.place(("shards", "columns"))
    refuse_old(recipe.shards.columns, steps, at)
    check_columns(recipe.shards.columns, part_schema(steps).names, at)
    return Loaded(recipe, readers, steps, storage.absolute(base), text.variables)


def _refuse_passwords(value: Any, text: Text, path: Path) -> None:
    """Raise RecipeError if a setting is an address with a password, because the password would be
    written to origins and manifests."""
    if isinstance(value, str) and has_password(value):
        raise RecipeError(PASSWORD_FAULT, text.place(path), PASSWORD_FIX)
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_passwords(item, text, (*path, key))


def _model(kind: type[M], content: Any, text: Text, path: Path) -> M:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise refusal(error, kind, text, path) from None


def _reader(source: dict[str, Any], text: Text, path: Path) -> Reader:
    settings = dict(source)
    name = settings.pop("reader", None)
    if not isinstance(name, str):
        fault = "missing" if name is None else f"{name!r:.80}, not the name of a reader"
        raise RecipeError(
            f"the setting 'reader' is {fault}.",
            text.place(path),
            "`curate readers` lists all readers.",
        )
    kind = _resolve_at(catalog.resolve_reader, name, text, (*path, "reader"))
    return _model(kind, settings, text, path)


def _resolve_at(resolve: Callable[[str], R], name: str, text: Text, path: Path) -> R:
    try:
        return resolve(name)
    except RecipeError as error:
        raise RecipeError(error.fault, text.place(path), error.fix) from error


class _Item(NamedTuple):
    """One step of a recipe: its name, its settings, and its path in the recipe, such as ("steps",
    0, "words")."""

    name: str
    settings: dict[str, Any]
    path: Path


def _expand(steps: list[Any], text: Text) -> list[_Item]:
    """Return one item for each step; a preset is replaced by its steps."""
    items: list[_Item] = []
    for number, entry in enumerate(steps):
        path: Path = ("steps", number)
        if len(entry) != 1:
            raise RecipeError(
                f"a step must be one name with its settings, not {list(entry)}.",
                text.place(path),
                "Begin each step with `-`, and indent its settings below its name.",
            )
        name, settings = next(iter(entry.items()))
        if name == "preset":
            items += _preset(settings, text, path)
        elif settings is not None and not isinstance(settings, dict):
            raise RecipeError(
                f"the step '{name}' needs a mapping of settings, not {settings!r}.",
                text.place(path),
            )
        else:
            items.append(_Item(name, settings or {}, (*path, name)))
    return items


def _preset(name: Any, text: Text, path: Path) -> list[_Item]:
    if not isinstance(name, str) or name not in load_presets():
        fix = nearest(str(name), list(load_presets()))
        raise RecipeError(f"there is no preset named '{name}'.", text.place((*path, "preset")), fix)
    steps = load_presets()[name].steps
    return [_Item(key, dict(value), path) for step in steps for key, value in step.items()]


def _steps(items: list[_Item], text: Text) -> list[PlannedStep]:
    planned: list[PlannedStep] = []
    seen: Counter[str] = Counter()
    for item in items:
        kind = _resolve_at(catalog.resolve_step, item.name, text, item.path)
        settings = dict(item.settings)
        only = _only(settings.pop("only", None), text, (*item.path, "only"))
        refuse_old(only or {}, planned, text.place((*item.path, "only")))
        step = _model(kind, settings, text, item.path)
        needs = step.required_steps() if isinstance(step, CorpusStep) else {}
        required = {n: _required_name(n, s, only, planned, seen) for n, s in needs.items()}
        short = item.name.rsplit(":", 1)[-1]
        name = _unique(short, seen)
        planned.append(PlannedStep(name, step, only, required or None, item.path))
        _check_columns(planned, text.place(item.path))
        planned[-1] = with_maker(planned, text.place(item.path))
        _check_modalities(only or {}, text, (*item.path, "only"))
    return planned


def _unique(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def _required_name(
    name: str,
    step: RowStep,
    only: dict[str, list[Any]] | None,
    planned: list[PlannedStep],
    seen: Counter[str],
) -> str:
    """Find a row step whose measures a corpus step needs among the planned steps, or add it to
    them. Return its name in this run.

    The row step is `step`. If the list `planned` has an equal step, the name of that step is
    returned. Otherwise `step` is added to the list under the name `name`; if an earlier step has
    this name, a number is added: `words-2`.
    `only` selects the records that need the measures. `seen` counts the names in use.
    """
    for known in planned:
        if known.step == step and known.only in (None, only):
            return known.name
    planned.append(PlannedStep(_unique(name, seen), step, only))
    return planned[-1].name


def _check_columns(planned: list[PlannedStep], place: str) -> None:
    """Raise RecipeError if the last step reads, or selects rows by, a column that does not exist
    before this step, or if the values in `only` do not fit their column."""
    last = planned[-1]
    schema = part_schema(planned[:-1])
    known = schema.names
    for column in (*last.reads, *(last.only or {})):
        if column not in known:
            if now := new_column(column, planned[:-1]):
                raise RecipeError(f"'{column}' is now called '{now}': write the new name.", place)
            fix = nearest(column, known)
            raise RecipeError(
                f"there is no column '{column}', neither in the record nor from an earlier step.",
                place,
                fix,
            )
    for column, values in (last.only or {}).items():
        try:
            pa.array(values, from_pandas=False).cast(schema.field(column).type)
        except pa.ArrowException:
            kind = schema.field(column).type
            raise RecipeError(
                f"only: the values {values} do not fit the column '{column}', which is {kind}.",
                place,
            ) from None


def _check_modalities(only: dict[str, list[Any]], text: Text, path: Path) -> None:
    """Raise RecipeError if `only` has a modality that no record can have. Otherwise a misspelt
    modality would make the step pass over records without an error."""
    for value in only.get("modality", []):
        if value not in MODALITIES:
            fault = f"only: there is no modality named {value!r}."
            fix = nearest(str(value), list(MODALITIES))
            raise RecipeError(fault, text.place((*path, "modality")), fix)


def _only(value: Any, text: Text, path: Path) -> dict[str, list[Any]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise RecipeError(
            "only: the value must be a mapping, `column: value` or `column: [values]`.",
            text.place(path),
        )
    return {str(k): v if isinstance(v, list) else [v] for k, v in value.items()}
