"""Which models a change touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.core.errors import ConfigurationError
from ci.core.plan import Evidence, decide
from ci.core.scope import scope, trains_alike

MODELS = ("churn", "fraud")
BASE = Evidence(base="b" * 40)
VALIDATE = {"cmd": "python -m ml.stages.validate", "deps": [{"path": "data/churn", "md5": "1"}]}
LOCK = {
    f"{stage}@{model}{mode}": VALIDATE for model in MODELS for stage, mode in (("validate", ""), ("train", "-smoke"))
}


def touched(**said: Any) -> dict[str, tuple[str, ...]]:
    return decide(MODELS, replace(BASE, **({"lock_before": LOCK, "lock_after": LOCK} | said))).reasons


@pytest.mark.parametrize(
    ("path", "models"),
    [
        ("ml/models/fraud/features.py", ("fraud",)),
        ("ml/models/fraud/params.yaml", ("fraud",)),
        ("ml/models/fraud/waivers/latency.yaml", ("fraud",)),
        ("ml/models/fraud/README.md", ()),
        ("ml/models/fraud/prompts/README.md", ("fraud",)),
        ("ml/models/fraud/prompts/system.md", ("fraud",)),
        ("ml/models/fraud/.gitignore", ("fraud",)),
        ("ml/models/common/features.py", MODELS),
        ("ml/models/common/words.md", MODELS),
        ("ml/models/README.md", MODELS),
        ("ml/README.md", MODELS),
        ("ci/templates/report.md", MODELS),
        ("data/notes.md", MODELS),
        ("data/fraud/notes.md", ("fraud",)),
        ("data/old/fraud.dvc", MODELS),
        ("x/README.md", MODELS),
        (".gitignore", ()),
        (".github/CODEOWNERS", ()),
        ("ml/models/__init__.py", MODELS),
        ("ml/stages/train.py", MODELS),
        ("ml/kinds/tabular.py", MODELS),
        ("ci/core/gating/gates.py", MODELS),
        ("ci/templates/report.md.j2", MODELS),
        (".github/workflows/check.yml", MODELS),
        (".github/actions/setup/setup.sh", MODELS),
        (".github/zizmor.yml", ()),
        ("params.yaml", MODELS),
        ("dvc.yaml", MODELS),
        ("pyproject.toml", MODELS),
        ("constraints.txt", MODELS),
        ("constraints-dev.txt", ()),
        ("Makefile", MODELS),
        (".dvc/config", MODELS),
        ("README.md", ()),
        ("docs/gates.md", ()),
        ("docs/line.svg", ()),
        ("tests/unit/test_x.py", ()),
        ("benchmarks/bootstrap.py", ()),
        ("helpers/speed.py", MODELS),
        ("dvc.lock", ()),
        ("data.dvc", ()),
    ],
)
def test_a_path_touches(path: str, models: tuple[str, ...]) -> None:
    assert scope(path, MODELS)[0] == models
    assert tuple(touched(paths=[path])) == models


@given(st.text(min_size=1, max_size=30).filter(lambda text: text not in {"dvc.lock", "data.dvc"}))
def test_a_path_nobody_knows_touches_every_model_unless_a_rule_says_otherwise(path: str) -> None:
    models, why = scope(path, MODELS)
    assert models == MODELS or why in {"harmless", "told model by model", "of a model that params.yaml does not list"}


def test_a_folder_that_was_a_model_of_its_own_touches_no_other() -> None:
    path = "ml/models/retired/model.py"
    assert scope(path, MODELS, {"retired"}) == ((), "of a model that params.yaml does not list")
    assert touched(paths=[path], unlisted={"retired"}) == {}
    assert tuple(touched(paths=[path])) == MODELS
    assert tuple(touched(paths=["ml/models/__init__.py"], unlisted={"retired"})) == MODELS


def test_a_file_name_is_told_on_one_line_and_commands_nothing() -> None:
    ((reason,), _) = touched(paths=["ci/x\n::add-mask::y ##[group]z\x1b[0m"]).values()
    assert reason == "ci/x : :add-mask: :y ## [group]z [0m changed: code that judges every model"


@pytest.mark.parametrize("evidence", [Evidence(base=None), replace(BASE, paths=["params.yaml"])])
def test_more_models_than_a_matrix_has_jobs_are_refused(evidence: Evidence) -> None:
    assert len(decide([f"m{number}" for number in range(256)], evidence).models) == 256
    with pytest.raises(ConfigurationError, match="touches 257 models, and GitHub makes at most 256"):
        decide([f"m{number}" for number in range(257)], evidence)


def test_a_model_whose_name_begins_like_another_is_another() -> None:
    assert scope("ml/models/fraud2/model.py", ("fraud", "fraud2"))[0] == ("fraud2",)
    said = replace(BASE, pins_before={"data/fraud2": "1"}, pins_after={"data/fraud2": "2"})
    assert decide(("fraud", "fraud2"), said).models == ("fraud2",)


def test_many_paths_of_one_kind_are_one_reason() -> None:
    assert touched(paths=["ci/a.py", "ci/b.py", "ci/c.py"])["churn"] == (
        "ci/a.py and 2 more changed: code that judges every model",
    )


def test_nothing_touched_has_words_and_no_models() -> None:
    plan = decide(MODELS, replace(BASE, paths=["README.md", "docs/gates.md"]))
    assert plan.models == ()
    assert plan.base_commit == BASE.base
    assert plan.words == "nothing that a model is made of or judged by changed (2 changed paths, 2 models)"


@pytest.mark.parametrize(("shallow", "words"), [(True, "fetch-depth: 0"), (False, "no earlier commit")])
def test_without_a_baseline_every_model_is_checked(shallow: bool, words: str) -> None:
    plan = decide(MODELS, Evidence(base=None, shallow=shallow))
    assert plan.models == MODELS
    assert words in plan.words
    assert all(words in reason for reasons in plan.reasons.values() for reason in reasons)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"data/fraud": "1"}, {"data/fraud": "2"}, "the data pinned as data/fraud is not the base's"),
        ({}, {"data/fraud": "2"}, "the data pinned as data/fraud is new"),
        ({"data/fraud/part": "1"}, {}, "the data pinned as data/fraud/part is gone"),
    ],
)
def test_data_touches_its_model(before: dict[str, str], after: dict[str, str], reason: str) -> None:
    assert touched(paths=["data.dvc"], pins_before=before, pins_after=after) == {"fraud": (reason,)}


def test_one_pin_of_all_data_touches_every_model() -> None:
    assert tuple(touched(pins_before={"data": "1"}, pins_after={"data": "2"})) == MODELS


def test_a_lock_entry_touches_its_model() -> None:
    after = {**LOCK, "train@fraud-smoke": {**VALIDATE, "cmd": "other"}}
    assert touched(lock_after=after) == {"fraud": ("dvc.lock has other entries than the base: train@fraud-smoke",)}


def test_full_training_is_not_the_pull_request_checks() -> None:
    after = {**LOCK, "train@fraud-full": VALIDATE}
    assert touched(lock_after=after, stale={"train@fraud-full": ["changed command"]}) == {}


def test_a_stage_behind_its_code_or_parameters_touches_its_model() -> None:
    stale = {
        "train@fraud-smoke": [
            {
                "changed deps": {
                    "ml/kinds/torch.py": "modified",
                    "ml/models/fraud/params.yaml": {"model.epochs": "modified"},
                }
            },
            "changed command",
        ]
    }
    (reason,) = touched(stale=stale)["fraud"]
    assert reason.startswith("dvc.lock is behind train@fraud-smoke: ")
    assert reason.endswith(
        "ml/kinds/torch.py modified, model.epochs modified in ml/models/fraud/params.yaml, changed command"
    )


def test_what_a_fresh_clone_lacks_is_no_change() -> None:
    lacking = [
        {"changed deps": {"data/churn": "deleted", "artifacts/churn/validation.json": "deleted"}},
        {"changed outs": {"artifacts/churn/smoke/model.onnx": "deleted"}},
    ]
    stale = {"data.dvc": [{"changed outs": {"data/churn": "deleted"}}], "train@churn-smoke": lacking}
    assert touched(stale=stale) == {}


def test_what_an_earlier_stage_makes_follows_from_its_cause() -> None:
    stale = {"train@churn-smoke": [{"changed deps": {"artifacts/churn/smoke/train.parquet": "modified"}}]}
    assert touched(stale=stale) == {}


def test_a_stage_that_never_ran_touches_its_model() -> None:
    stale = {"validate@fraud": [{"changed deps": {"data/fraud": "deleted"}}]}
    lock = {stage: entry for stage, entry in LOCK.items() if stage != "validate@fraud"}
    reasons = touched(lock_before=lock, lock_after=lock, stale=stale)
    assert reasons == {"fraud": ("dvc.lock has no entry for validate@fraud yet",)}


@pytest.mark.parametrize(
    ("path", "alike"),
    [
        ("docs/training.md", True),
        ("k8s/models/churn/staging/release.yaml", True),
        ("ci/core/plan.py", True),
        (".github/workflows/train.yml", True),
        ("dvc.lock", True),
        ("ml/models/fraud/params.yaml", True),
        ("ml/models/churn/params.yaml", False),
        ("ml/stages/train.py", False),
        ("constraints.txt", False),
        ("data.dvc", False),
        ("data/fraud.dvc", False),
        ("somewhere/new.py", False),
    ],
)
def test_what_a_training_does_not_depend_on(path: str, alike: bool) -> None:
    assert trains_alike([path], "churn", ("churn", "fraud")) is alike
    assert trains_alike(["README.md", path], "churn", ("churn", "fraud")) is alike
