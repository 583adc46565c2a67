from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters.files import read_yaml
from ci.core.errors import ConfigurationError
from ci.core.gating.gateparams import parse_model
from ci.core.params import parse_root, require_files
from ci.core.statistics.metrics import KINDS, Metric
from tests.unit.ci.core import cases

if TYPE_CHECKING:
    from pathlib import Path

ROOT = """\
models:
  - churn
  - fraud
defaults:
  seed: 1
  gates:
    confidence: 0.95
    resamples: 2000
    min_rows: 200
    on_inconclusive: warn
"""


def fails(tmp_path: Path, text: str, model: bool = False) -> ConfigurationError:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    data, line_of = read_yaml(path)

    def read() -> object:
        return (
            parse_model(data, line_of, cases.defaults(), file="m/params.yaml") if model else parse_root(data, line_of)
        )

    with pytest.raises(ConfigurationError) as caught:
        read()
    return caught.value


def test_root_is_read() -> None:
    root = parse_root(yaml.safe_load(ROOT), cases.nowhere)
    assert root.models == ["churn", "fraud"]
    assert root.defaults.gates.resamples == 2000


@pytest.mark.parametrize(
    ("wrong", "right", "line", "words"),
    [
        ("  - fraud", "  - churn", 3, "model 'churn' is listed twice"),
        ("seed: 1", "sead: 1", 5, "did you mean 'seed'?"),
        (
            "confidence: 0.95",
            "confidense: 0.95",
            7,
            "unknown key 'confidense' in 'defaults.gates'; did you mean 'confidence'?",
        ),
        ("confidence: 0.95", "confidence: .nan", 7, "it should be"),
        ("confidence: 0.95", "confidence: 95", 7, "'defaults.gates.confidence' is 95"),
        ("resamples: 2000", "resamples: many", 8, "'many'"),
        ("resamples: 2000", "resamples: 1500.5", 8, "1500.5"),
        ("on_inconclusive: warn", "on_inconclusive: blok", 10, "did you mean 'block'?"),
        ("confidence: 0.95", "confidence: 0.9999", 8, "take at least 19999"),
        ("defaults:", "default:", 4, "did you mean 'defaults'?"),
        ("  - fraud", "  - Fraud-2", 3, "a-z, 0-9"),
        ("  - fraud", "  - _fraud", 3, "a letter first"),
        ("  - fraud", "  - 2fraud", 3, "a letter first"),
        ("  - fraud", "  - fraudé", 3, "a-z, 0-9"),
        ("  - fraud", f"  - {'f' * 65}", 3, "up to 64"),
        ("seed: 1", "seed: true", 5, "'defaults.seed' is True"),
        (
            "  seed: 1",
            "  rollout: {business: {o: {numerator: a_total, denominator: 'b{}', worse: lower}}}\n  seed: 1",
            5,
            "the selector of 'o' is no use: it does not say which track it is of; write track=\"$track\" in it",
        ),
        (
            "  seed: 1",
            "  drift: {alerts: [{kind: slack, url_from: 'https://hooks.example/1'}]}\n  seed: 1",
            5,
            "'url_from' names the environment variable that holds it",
        ),
    ],
)
def test_root_mistakes_are_told_with_line_and_right_name(
    tmp_path: Path, wrong: str, right: str, line: int, words: str
) -> None:
    failure = fails(tmp_path, ROOT.replace(wrong, right))
    assert words in failure.message
    assert failure.line == line
    assert failure.message.startswith(f"params.yaml:{line}: ")


def test_the_longest_name_is_read() -> None:
    longest = "f" * 64
    assert parse_root(yaml.safe_load(ROOT.replace("fraud", longest)), cases.nowhere).models == ["churn", longest]


def test_root_must_be_a_mapping(tmp_path: Path) -> None:
    assert "expected keys among: models, defaults" in fails(tmp_path, "- churn\n").message


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "'defaults.seed' is missing" in fails(tmp_path, ROOT.replace("  seed: 1\n", "")).message


def test_model_folders_must_hold_their_files() -> None:
    whole = {"params.yaml", "schema.py", "features.py", "model.py"}
    require_files(["churn", "fraud"], {"churn": whole, "fraud": whole})
    with pytest.raises(ConfigurationError, match=r"ml/models/fraud/schema.py is missing"):
        require_files(["churn", "fraud"], {"churn": whole, "fraud": {"params.yaml"}})
    with pytest.raises(ConfigurationError, match=r"no folder ml/models/frod; did you mean 'fraud'"):
        require_files(["frod"], {"fraud": whole})
    with pytest.raises(ConfigurationError, match="no folder ml/models/fraud; make it"):
        require_files(["fraud"], {})


def model(*lines: str, task: str = "binary", head: str = "") -> str:
    return f"kind: tabular\ntask: {task}\n{head}gates:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("metric: roc_acu, min: 0.5", "unknown metric 'roc_acu'; did you mean 'roc_auc'?"),
        ("metric: roc_auc, minn: 0.5", "unknown key 'minn' in 'gates[0]'; did you mean 'min'?"),
        ("metric: roc_auc", "one of min, max and no_worse_than; found none"),
        ("metric: roc_auc, min: 0.5, max: 0.9", "found min and max"),
        ("min: 0.5", "'gates[0].metric' is missing"),
        ("metric: roc_auc, min: .nan", "finite"),
        ("metric: roc_auc, min: .inf", "finite"),
        ("metric: roc_auc, min: 1e-4", "YAML takes 1.0e-4"),
        ("metric: roc_auc, min: true", "'gates[0].min' is True"),
        ("metric: roc_auc, min: 0.5, modes: [smok]", "did you mean 'smoke'?"),
        ("metric: roc_auc, min: 0.5, modes: []", "'gates[0].modes' is []"),
        ("metric: roc_auc, no_worse_than: {baseline: mergebase, margin: 0}", "did you mean 'merge_base'?"),
        ("metric: roc_auc, no_worse_than: {baseline: champion, margn: 0}", "did you mean 'margin'?"),
        ("metric: roc_auc, no_worse_than: {baseline: champion, margin: -1}", "greater than or equal to 0"),
        (
            "metric: roc_auc, no_worse_than: {baseline: champion, margin: 0}, modes: [smoke]",
            "in full mode alone is there",
        ),
        ("metric: roc_auc, no_worse_than: {baseline: merge_base, margin: 0}, modes: [full]", "write modes: [smoke]"),
        ("metric: roc_auc, no_worse_than: {baseline: merge_base, rows: old, margin: 0}", "write baseline: champion"),
        ("metric: rows, no_worse_than: {baseline: champion, rows: old, margin: 0}", "leave 'rows' out"),
        ("metric: roc_auc, min: 0.5, slices: BAND", "'gates[0].slices' is 'BAND'"),
        ("metric: roc_auc, min: 0.5, slice: [BAND]", "did you mean 'slices'?"),
        ("metric: roc_auc, min: 0.5, on_inconclusive: wait", "known are: block, warn"),
        ("metric: recall_at_fpr, min: 0.5", "recall_at_fpr needs 'fpr'"),
        ("metric: recall_at_fpr, fpr: 1.5, min: 0.5", "'gates[0].fpr' is 1.5"),
        ("metric: card_precision, card: C, min: 0.5", "needs 'time'"),
        ("metric: roc_auc, fpr: 0.1, min: 0.5", "roc_auc takes no 'fpr'"),
        ("metric: rmse, max: 3", "rmse is not for a binary model; such are: average_precision"),
        ("metric: size_bytes, max: 3, slices: [BAND]", "leave 'slices' out"),
        ("metric: latency_p99_ms, no_worse_than: {baseline: champion, margin: 1}", "give it a max"),
        ("metric: roc_auc, min: 0.5, confidence: 0.9999", "400 resamples cannot give"),
        ("metric: demographic_parity_difference, max: 0.5", "needs 'group'"),
    ],
)
def test_gate_mistakes_are_told(tmp_path: Path, line: str, words: str) -> None:
    failure = fails(tmp_path, model(line), model=True)
    assert words in failure.message
    assert failure.message.startswith("m/params.yaml:4: ")
    assert failure.line == 4


@pytest.mark.parametrize(("baseline", "mode"), [("merge_base", "smoke"), ("champion", "full")])
def test_a_relative_gate_holds_where_there_is_its_baseline(baseline: str, mode: str) -> None:
    line = f"metric: roc_auc, no_worse_than: {{baseline: {baseline}, margin: 0}}"
    for more in ("", f", modes: [{mode}]"):
        assert cases.gate(line + more).modes == (mode,)
    assert cases.gate("metric: roc_auc, min: 0.5").modes == ("smoke", "full")


def test_gate_twice_in_one_mode_is_refused_and_in_two_modes_is_not(tmp_path: Path) -> None:
    one, other = "metric: roc_auc, min: 0.5, modes: [smoke]", "metric: roc_auc, min: 0.6, modes: [full]"
    assert len(cases.gates(f"- {{{one}}}\n- {{{other}}}")) == 2
    failure = fails(tmp_path, model(one, "metric: roc_auc, min: 0.6"), model=True)
    assert "gate 'roc_auc.min' is declared twice for mode smoke" in failure.message
    assert failure.line == 5


def test_only_the_known_sections_may_stand_in_a_model(tmp_path: Path) -> None:
    known = "data: {}\nsplit: {}\nmodel: {}\nmodes: {}\nchecks: {}\n"
    parse_model(
        yaml.safe_load(model("metric: roc_auc, min: 0.5", head=known)), cases.nowhere, cases.defaults(), file="x"
    )
    failure = fails(tmp_path, model("metric: roc_auc, min: 0.5", head="chekcs: {}\n"), model=True)
    assert "unknown key 'chekcs' in the file; did you mean 'checks'?" in failure.message
    assert failure.line == 3


def test_a_gate_on_a_column_that_predictions_do_not_carry(tmp_path: Path) -> None:
    text = model("metric: roc_auc, min: 0.5, slices: [contrct]", head="data: {keep: [contract]}\n")
    told = fails(tmp_path, text, model=True)
    assert "'slices' names column 'contrct', which data.keep does not carry" in told.message
    assert "did you mean 'contract'?" in told.message
    assert told.line == 5


@pytest.mark.parametrize("gates", ["", "gates: []\n"])
def test_a_model_without_gates_does_not_ship_unjudged(tmp_path: Path, gates: str) -> None:
    assert "ships unjudged" in fails(tmp_path, f"kind: tabular\ntask: binary\n{gates}", model=True).message


def test_unknown_task_and_gates_of_another_shape(tmp_path: Path) -> None:
    assert "did you mean 'binary'?" in fails(tmp_path, "task: binry\n", model=True).message
    assert "'gates' is not a list" in fails(tmp_path, "task: binary\ngates: {a: 1}\n", model=True).message
    assert "'gates[0]' is 'roc_auc'" in fails(tmp_path, "task: binary\ngates: [roc_auc]\n", model=True).message


def test_defaults_are_filled_in() -> None:
    gate = cases.gate("metric: accuracy, min: 0.9")
    assert (gate.confidence, gate.min_rows, gate.on_inconclusive, gate.modes) == (0.95, 100, "warn", ("smoke", "full"))
    assert gate.metric == Metric("accuracy", threshold=0.5)
    assert cases.gate("metric: card_precision, card: C, time: T, min: 0.2").metric.top == 100


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_metric_of_the_catalogue_can_be_gated(name: str) -> None:
    kind = KINDS[name]
    told: dict[str, Any] = {"fpr": 0.01, "card": "C", "time": "T", "group": "G"}
    data = {"metric": name, "max": 1.0} | {key: told[key] for key in kind.needs}
    raw = {"task": kind.tasks[0], "data": {"keep": cases.columns([data])}, "gates": [data]}
    _, (gate,) = parse_model(raw, cases.nowhere, cases.defaults(), file="x")
    assert gate.metric.name == name
    assert gate.words == "max 1"
