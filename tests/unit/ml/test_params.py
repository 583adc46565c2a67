"""A params.yaml is read strictly: every mistake is told with its line and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    ("    rounds: 50", "    rouns: 50", r":\d+: unknown key 'model\.rouns'; did you mean 'rounds'\?"),
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
    ("kind: tabular", "kind: tabluar", r":\d+: 'kind' is 'tabluar'; expected"),
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


@pytest.mark.parametrize("text", ["defaults: {seed: yes}", "defaults: {seed: -1}", "defaults: {}", "models: []", ""])
def test_a_seed_is_a_whole_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(StageError, match=r"params\.yaml"):
        params.seed(path)
