"""A params.yaml is read strictly: every mistake is told with its line and the nearest right name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, field_validator

from ml import params
from ml.errors import StageError
from ml.kinds.sklearn_boosting import Settings

CHURN = Path("ml/models/churn/params.yaml")


@pytest.mark.parametrize("model", ["churn", "fraud"])
@pytest.mark.parametrize("mode", params.MODES)
def test_the_repository_s_own_files_are_right(model: str, mode: params.Mode) -> None:
    found = params.load(Path(f"ml/models/{model}/params.yaml"), mode)
    assert found.head.task == "binary"
    assert (found.size.rows is not None) == (mode == "smoke")


def test_a_mode_overrides_hyperparameters() -> None:
    rounds = {mode: params.load(CHURN, mode).hyperparameters(Settings).rounds for mode in params.MODES}
    assert rounds["smoke"] < rounds["full"]


MISTAKES = [
    ("  rounds: 120", "  ronds: 120", r":\d+: unknown key 'model\.ronds'; did you mean 'rounds'\?"),
    ("  depth: 3\n", "", r":\d+: 'model\.depth' is missing"),
    ("    rounds: 50", "    rouns: 50", r":\d+: unknown key 'modes\.smoke\.rouns'; did you mean 'rounds'\?"),
    ("    rows: 3000", "    rows: many", r":\d+: 'modes\.smoke\.rows' is 'many'; expected"),
    ("  subsample: 0.8", "  subsample: .inf", r":\d+: 'model\.subsample' is inf; expected"),
    ("checks:\n", "chekcs:\n", r":\d+: unknown key 'chekcs'; did you mean 'checks'\?"),
    ("  smoke:\n", "  smok:\n", r":\d+: unknown mode 'smok'; did you mean 'smoke'\?"),
    ("  by: hash", "  by: dice", r":\d+: 'split\.by' is 'dice'; expected 'time' or 'hash'"),
    (
        "  label: churn",
        "  lable: churn",
        r":\d+: unknown key 'data\.lable'; did you mean 'label'\?|'data\.label' is missing",
    ),
    ("task: binary", "task: binary\ntask: binary", r":\d+: 'task' is given twice, first in line \d+; keep one"),
    ("task: binary", "task: [binary", r":\d+: not YAML"),
    ("kind: tabular", "kind: tabluar", r":\d+: 'kind' is 'tabluar'; expected 'tabular'; did you mean 'tabular'\?$"),
    (
        "task: binary",
        "task: binray",
        r"'task' is 'binray'; expected 'binary' or 'regression'; did you mean 'binary'\?$",
    ),
    ("  smoke:\n", "  smokee:\n", r":\d+: unknown mode 'smokee'; did you mean 'smoke'\?"),
    ("  full: {}", "  full: {rowz: 5}", r":\d+: unknown key 'modes\.full\.rowz'; did you mean 'rows'\?"),
    ("  full: {}", "  full: {rows: 5}", r":\d+: 'modes\.full\.rows' is 5; expected a number of at least 50$"),
    ("  full: {}", "  full: {rounds: -3}", r":\d+: 'modes\.full\.rounds' is -3; expected a number above 0$"),
    ("  full: {}", "  full: []", r":\d+: 'modes\.full' is \[\]; expected keys with values under it$"),
    ("  depth: 3", "  depth: 2.5", r":\d+: 'model\.depth' is 2\.5; expected a whole number$"),
    ("  subsample: 0.8", "  subsample: 1.5", r":\d+: 'model\.subsample' is 1\.5; expected a number of at most 1"),
    ("  subsample: 0.8", "  subsample: high", r":\d+: 'model\.subsample' is 'high'; expected a number$"),
    ("  test_fraction: 0.3", "  test_fraction: 1", r":\d+: 'split\.test_fraction' is 1; expected a number below 1"),
    ("  label: churn", "  label: 5", r":\d+: 'data\.label' is 5; expected a text$"),
    ("  keep: [contract, gender]", "  keep: contract", r":\d+: 'data\.keep' is 'contract'; expected a list, such as"),
    ("  keep: [contract, gender]", "  keep: [contract, 5]", r":\d+: 'data\.keep\[1\]' is 5; expected a text$"),
    ("task: binary", "task: binary\n5: 6", r":\d+: unknown key '5'; known are"),
    ("  depth: 3", "  depth: 3\n  5: 6", r":\d+: unknown key 'model\.5'; known are"),
]


@pytest.mark.parametrize(("right", "wrong", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, words: str) -> None:
    text = CHURN.read_text()
    assert right in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(StageError, match=words) as caught:
        params.load(path, "smoke").hyperparameters(Settings)
    assert caught.value.file == str(path)
    assert caught.value.line is not None
    assert "\n" not in caught.value.message


def test_the_line_is_that_of_the_typo(tmp_path: Path) -> None:
    text = CHURN.read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("    rounds: 50", "    rouns: 50"))
    with pytest.raises(StageError) as caught:
        params.load(path, "smoke").hyperparameters(Settings)
    assert caught.value.line is not None
    assert "rouns" in path.read_text().splitlines()[caught.value.line - 1]


class Odd(params.Section):
    """Hyperparameters with types that no model of this repository has."""

    words: Annotated[tuple[str, ...], Field(min_length=2)] = ("a", "b")
    flag: bool = True
    table: dict[str, int] | None = None
    date: dt.date = dt.date(2026, 1, 1)

    @field_validator("flag")
    @classmethod
    def never_off(cls, value: bool) -> bool:
        if not value:
            raise ValueError("flag has to be on here")
        return value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("words: [a]", "'model.words' is ['a']; expected a list of at least 2"),
        ("flag: maybe", "'model.flag' is 'maybe'; expected true or false"),
        ("flag: off", "'model.flag' is False; expected otherwise: flag has to be on here"),
        ("table: 5", "'model.table' is 5; expected keys with values under it"),
        ("table: {a: b}", "'model.table.a' is 'b'; expected a whole number"),
        ("date: soon", "'model.date' is 'soon'; expected a valid date"),
    ],
)
def test_no_word_of_the_parser_s_own(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    text = CHURN.read_text()
    start, end = text.index("model:\n"), text.index("modes:\n")
    path.write_text(f"{text[:start]}model:\n  {line}\n{text[end:].replace('    rounds: 50', '')}")
    with pytest.raises(StageError) as caught:
        params.load(path, "smoke").hyperparameters(Odd)
    assert words in caught.value.message
    assert "nput should" not in caught.value.message
    assert caught.value.line == path.read_text().splitlines().index(f"  {line}") + 1


@pytest.mark.parametrize("text", ["defaults: {seed: yes}", "defaults: {seed: -1}", "defaults: {}", "models: []", ""])
def test_a_seed_is_a_whole_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(StageError, match=r"params\.yaml"):
        params.seed(path)
