"""Verdicts as they come: one of each kind that a report has to show well."""

from __future__ import annotations

import math

from ci.core.records import (
    Baseline,
    Change,
    Check,
    Curve,
    GateResult,
    Interval,
    MetricRow,
    Outcome,
    ParamChange,
    Problem,
    Verdict,
    Violation,
    Waiver,
)

COMMIT = "4be1c2f09a77d3e85b6f1a2c3d4e5f60718293a4"
BASE = "0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d"
MODEL = "5d41402abc4b2a76b9719d911017c592"
OLD_MODEL = "7d793037a0760186574b0282f2f435e7"
DATA = "9e107d9d372bb6826bd81d3542a419d6"
OLD_DATA = "e4d909c290d0fb1ca068ffaddf22cbd0"


def _metric(
    name: str,
    candidate: float,
    baseline: float | None,
    half: float,
    *,
    higher: bool = True,
    part: str | None = None,
    n: int = 31_240,
    confidence: float = 0.95,
) -> MetricRow:
    difference = None if baseline is None else candidate - baseline
    return MetricRow(
        metric=name,
        slice=part,
        n=n,
        higher_is_better=higher,
        candidate=candidate,
        candidate_interval=Interval(low=candidate - 3 * half, high=candidate + 3 * half, confidence=confidence),
        baseline=baseline,
        difference=difference,
        difference_interval=None
        if difference is None
        else Interval(low=difference - half, high=difference + half, confidence=confidence),
    )


def _gate(gate: str, rule: str, verdict: Outcome, value: float | None, reason: str, **more: object) -> GateResult:
    return GateResult.model_validate(
        {
            "gate": gate,
            "metric": gate.partition(".")[0].partition("[")[0],
            "rule": rule,
            "verdict": verdict,
            "value": value,
            "reason": reason,
            "blocks": verdict is Outcome.FAIL,
            **more,
        }
    )


def _checks(*failed: str) -> tuple[Check, ...]:
    return tuple(
        Check(name=name, passed=name not in failed, value=value, limit=limit, detail=detail)
        for name, value, limit, detail in (
            ("loss_falls", 0.214, 0.693, "training loss fell from 0.6931 to 0.2140 in 6 epochs"),
            ("overfits_one_batch", 0.0031, 0.05, "loss on one batch of 64 rows after 200 steps"),
            ("gradients_finite", 0.0, 0.0, "no gradient was infinite or not a number"),
            ("reproducible", 0.0, 0.0, "two runs with seed 20261121 gave the same model bytes and metrics"),
            ("onnx_agrees", 3.1e-7, 1e-4, "largest difference of a score on 31,240 rows"),
            ("no_leakage", 0.81, 0.98, "TERMINAL_ID_RISK_7DAY alone has the largest AUC"),
            ("beats_base_rate", 0.41, 0.05, "skill over always predicting the base rate"),
        )
    )


def _curves(lift: float, *, baseline: bool = True) -> tuple[Curve, ...]:
    recall = tuple(i / 60 for i in range(61))
    p = tuple(i / 12 * 0.9 for i in range(1, 11))
    steps = tuple(float(i) for i in range(1, 7))
    curves = [
        Curve(
            name="precision_recall",
            series="candidate",
            x=recall,
            y=tuple(max(0.01, 0.95 - r**2.2 * (1.05 - lift)) for r in recall),
        ),
        Curve(name="calibration", series="candidate", x=p, y=tuple(x**1.15 for x in p)),
        Curve(name="loss", series="train", x=steps, y=tuple(0.21 + 0.48 * math.exp(-0.7 * s) for s in steps)),
        Curve(name="loss", series="validation", x=steps, y=tuple(0.25 + 0.45 * math.exp(-0.6 * s) for s in steps)),
    ]
    if baseline:
        curves += [
            Curve(
                name="precision_recall",
                series="baseline",
                x=recall,
                y=tuple(max(0.01, 0.93 - r**2 * 0.97) for r in recall),
            ),
            Curve(name="calibration", series="baseline", x=p, y=tuple(x**0.85 for x in p)),
        ]
    return tuple(curves)


def passing() -> Verdict:
    """Better than the merge base, with a waiver, slices and cached stages."""
    return Verdict(
        model="fraud",
        mode="smoke",
        task="binary",
        commit=COMMIT,
        base_commit=BASE,
        candidate_hash=MODEL,
        verdict=Outcome.PASS,
        blocks=False,
        summary="9 of 10 gates pass and 1 is waived; average_precision rose from 0.6120 to 0.6480.",
        gates=(
            _gate("schema", "raw data keeps to the schema", Outcome.PASS, None, "312,400 rows, no violation"),
            _gate("average_precision.min", "min 0.3", Outcome.PASS, 0.648, "0.6480 is at least 0.3", n=31_240),
            _gate(
                "roc_auc.no_worse_than.merge_base",
                "no worse than merge_base by 0.01",
                Outcome.PASS,
                0.9312,
                "the difference is wholly above -0.01",
                baseline=0.9255,
                difference=0.0057,
                interval=Interval(low=0.0021, high=0.0094, confidence=0.95),
                n=31_240,
            ),
            _gate(
                "average_precision[AMOUNT_BAND=high].no_worse_than.merge_base",
                "no worse than merge_base by 0.05",
                Outcome.PASS,
                0.711,
                "the difference is wholly above -0.05",
                slice="AMOUNT_BAND=high",
                baseline=0.704,
                difference=0.007,
                interval=Interval(low=-0.021, high=0.034, confidence=0.9917),
                n=2_210,
            ),
            _gate(
                "expected_calibration_error.max", "max 0.05", Outcome.PASS, 0.0132, "0.0132 is at most 0.05", n=31_240
            ),
            _gate("recall_at_fpr.min", "min 0.4 at fpr 0.01", Outcome.PASS, 0.573, "0.5730 is at least 0.4", n=31_240),
            _gate("latency_p99_ms.max", "max 5", Outcome.PASS, 0.183, "0.1830 is at most 5"),
            _gate("size_bytes.max", "max 2000000", Outcome.PASS, 48_211, "48,211 is at most 2,000,000"),
            _gate("rows.min", "min 1000", Outcome.PASS, 8_000, "8,000 is at least 1,000"),
            _gate(
                "card_precision.min",
                "min 0.25 in the top 100 cards",
                Outcome.FAIL,
                0.231,
                "0.2310 is below 0.25",
                blocks=False,
                waived_by="Ada Lovelace",
            ),
        ),
        metrics=(
            _metric("average_precision", 0.648, 0.612, 0.0141),
            _metric("roc_auc", 0.9312, 0.9255, 0.0036),
            _metric("card_precision", 0.231, 0.238, 0.019),
            _metric("recall_at_fpr", 0.573, 0.551, 0.018),
            _metric("log_loss", 0.0312, 0.0345, 0.0011, higher=False),
            _metric("brier", 0.0071, 0.0074, 0.0005, higher=False),
            _metric("expected_calibration_error", 0.0132, 0.0094, 0.0021, higher=False),
            MetricRow(
                metric="latency_p99_ms",
                n=1000,
                higher_is_better=False,
                candidate=0.183,
                baseline=0.19,
                difference=-0.007,
            ),
            MetricRow(
                metric="size_bytes", n=1, higher_is_better=False, candidate=48_211, baseline=31_020, difference=17_191
            ),
            _metric("average_precision", 0.711, 0.704, 0.027, part="AMOUNT_BAND=high", n=2_210, confidence=0.9917),
            _metric("average_precision", 0.602, 0.561, 0.022, part="AMOUNT_BAND=middle", n=14_030, confidence=0.9833),
            _metric("average_precision", 0.588, 0.579, 0.041, part="AMOUNT_BAND=low", n=15_000, confidence=0.975),
        ),
        checks=_checks(),
        waivers=(
            Waiver(
                gate="card_precision.min",
                reason="labels of the last week are late; see the note of the payments team",
                who="Ada Lovelace",
                expires="2026-12-15",
                expired=False,
                file="ml/models/fraud/waivers/late-labels.yaml",
            ),
        ),
        baseline=Baseline(kind="merge_base", status="compared", commit=BASE, model_hash=OLD_MODEL, reason="compared"),
        change=Change(
            data_hash_before=OLD_DATA,
            data_hash_after=DATA,
            rows_before=300_000,
            rows_after=312_400,
            params=(
                ParamChange(key="model.hidden", before=32, after=64),
                ParamChange(key="model.dropout", before=None, after=0.1),
            ),
            files=("ml/models/fraud/features.py", "ml/models/fraud/model.py"),
        ),
        curves=_curves(0.25),
        seconds={"validate": 1.2, "prepare": 3.4, "train": 14.8, "evaluate": 1.1},
        cached=("validate",),
    )


def failing() -> Verdict:
    """Clearly worse than the merge base on two gates; one waiver has expired."""
    good = passing()
    return good.model_copy(
        update={
            "model": "churn",
            "verdict": Outcome.FAIL,
            "blocks": True,
            "summary": "3 of 10 gates fail: roc_auc is worse than at the merge base by more than 0.01.",
            "gates": (
                *good.gates[:2],
                _gate(
                    "roc_auc.no_worse_than.merge_base",
                    "no worse than merge_base by 0.01",
                    Outcome.FAIL,
                    0.7912,
                    "the difference, -0.0301, is wholly below -0.01 at 95 % confidence",
                    baseline=0.8213,
                    difference=-0.0301,
                    interval=Interval(low=-0.0421, high=-0.0180, confidence=0.95),
                    n=2_113,
                ),
                _gate(
                    "demographic_parity_difference.max",
                    "max 0.1 across gender",
                    Outcome.FAIL,
                    0.142,
                    "0.1420 is above 0.1; gender=Female has the highest rate, gender=Male the lowest",
                    n=2_113,
                ),
                _gate(
                    "waiver",
                    "a waiver is in force",
                    Outcome.FAIL,
                    None,
                    "the waiver of card_precision.min expired on 2026-11-01; remove it or renew it",
                ),
                _gate(
                    "average_precision[contract=Two year].no_worse_than.merge_base",
                    "no worse than merge_base by 0.05",
                    Outcome.INCONCLUSIVE,
                    0.41,
                    "only 112 rows, fewer than the 200 that a verdict needs",
                    slice="contract=Two year",
                    n=112,
                ),
                *good.gates[4:9],
            ),
            "metrics": (
                _metric("average_precision", 0.6021, 0.6384, 0.0203, n=2_113),
                _metric("roc_auc", 0.7912, 0.8213, 0.0121, n=2_113),
                _metric("accuracy", 0.7851, 0.7902, 0.0102, n=2_113),
                _metric("f1", 0.5512, 0.5843, 0.0214, n=2_113),
                _metric("log_loss", 0.4523, 0.4214, 0.0143, higher=False, n=2_113),
                _metric("average_precision", 0.41, None, 0.06, part="contract=Two year", n=112),
            ),
            "checks": _checks("no_leakage"),
            "waivers": (good.waivers[0].model_copy(update={"expired": True, "expires": "2026-11-01"}),),
            "curves": _curves(-0.1),
        }
    )


def inconclusive() -> Verdict:
    """Too few rows to say; policy warns."""
    good = passing()
    return good.model_copy(
        update={
            "model": "delay",
            "task": "regression",
            "verdict": Outcome.INCONCLUSIVE,
            "summary": "1 of 3 gates is inconclusive: the interval of rmse holds the margin.",
            "gates": (
                *good.gates[:1],
                _gate("rmse.max", "max 45", Outcome.PASS, 38.213, "38.21 is at most 45", n=4_021),
                _gate(
                    "rmse.no_worse_than.merge_base",
                    "no worse than merge_base by 0.5",
                    Outcome.INCONCLUSIVE,
                    38.213,
                    "the difference may be anywhere between -0.41 and 0.93; the margin is 0.5",
                    baseline=37.95,
                    difference=0.263,
                    interval=Interval(low=-0.41, high=0.93, confidence=0.95),
                    n=4_021,
                ),
            ),
            "metrics": (
                _metric("rmse", 38.213, 37.95, 0.67, higher=False, n=4_021),
                _metric("mae", 24.81, 24.77, 0.31, higher=False, n=4_021),
            ),
            "waivers": (),
            "change": Change(
                data_hash_before=DATA,
                data_hash_after=DATA,
                rows_before=9_000,
                rows_after=9_000,
                files=("ml/models/delay/model.py",),
            ),
            "curves": tuple(curve for curve in good.curves if curve.name == "loss"),
        }
    )


def schema_violation() -> Verdict:
    """The raw data breaks its schema in three ways; nothing was trained."""
    return Verdict(
        model="fraud",
        mode="smoke",
        task="binary",
        commit=COMMIT,
        base_commit=BASE,
        candidate_hash=None,
        verdict=Outcome.FAIL,
        blocks=True,
        summary="transactions.parquet breaks 3 rules of the schema; nothing was trained.",
        gates=(
            _gate("schema", "raw data keeps to the schema", Outcome.FAIL, None, "3 rules are broken in 312,400 rows"),
        ),
        violations=(
            Violation(
                column="TX_AMOUNT",
                check="greater_than_or_equal_to(0)",
                count=412,
                message="amounts are at least 0; found -3.20 to -0.01",
                rows=tuple(
                    {
                        "TRANSACTION_ID": 1_000 + i,
                        "TX_AMOUNT": -0.4 * i,
                        "row": 17 * i,
                        "TX_DATETIME": "2018-04-01 00:00:31",
                    }
                    for i in range(1, 9)
                ),
            ),
            Violation(
                column="PAYMENT_METHOD",
                check="isin(['chip', 'online', 'swipe'])",
                count=2,
                message="found a method that the schema does not know",
                rows=({"row": 4, "PAYMENT_METHOD": "wallet|new"}, {"row": 91, "PAYMENT_METHOD": None}),
            ),
            Violation(
                column=None, check="label_rate", count=1, message="0.41 of the labels are 1; expected 0.001 to 0.05"
            ),
        ),
        change=Change(data_hash_before=OLD_DATA, data_hash_after=DATA, rows_before=300_000, rows_after=312_400),
        seconds={"validate": 1.9},
    )


def stopped() -> Verdict:
    """A stage stopped on a mistyped parameter."""
    return Verdict(
        model="churn",
        mode="smoke",
        task="binary",
        commit=COMMIT,
        base_commit=BASE,
        candidate_hash=None,
        verdict=Outcome.FAIL,
        blocks=True,
        summary="train stopped.",
        problem=Problem(
            model="churn",
            stage="train",
            message="ml/models/churn/params.yaml:14: unknown key 'learnig_rate'; did you mean 'learning_rate'?",
            exit_code=1,
            file="ml/models/churn/params.yaml",
            line=14,
        ),
        change=Change(params=(ParamChange(key="model.learnig_rate", before=None, after=0.05),), files=()),
        seconds={"validate": 0.8, "prepare": 1.0},
        cached=("validate", "prepare"),
    )


def unchanged() -> Verdict:
    """The merge base has this very model."""
    good = passing()
    same = {"baseline": None, "difference": None, "difference_interval": None}
    return good.model_copy(
        update={
            "summary": "The model is the same as at the merge base, byte for byte; 9 gates pass.",
            "gates": good.gates[:9],
            "metrics": tuple(row.model_copy(update=same) for row in good.metrics[:7]),
            "waivers": (),
            "baseline": Baseline(
                kind="merge_base",
                status="unchanged",
                commit=BASE,
                model_hash=MODEL,
                reason="candidate and baseline have one hash",
            ),
            "change": Change(data_hash_before=DATA, data_hash_after=DATA, rows_before=312_400, rows_after=312_400),
            "curves": _curves(0.25, baseline=False),
            "cached": ("validate", "prepare", "train", "evaluate"),
        }
    )


def every() -> tuple[Verdict, ...]:
    """One of each, under names of their own."""
    named = {
        "fraud": passing(),
        "churn": failing(),
        "delay": inconclusive(),
        "claims": schema_violation(),
        "ranking": stopped(),
        "demand": unchanged(),
    }
    return tuple(verdict.model_copy(update={"model": name}) for name, verdict in named.items())
