"""`trunkline release --plan`: one model whose release.yaml cannot be read keeps no other out of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from ci.adapters import dvc, forge
from ci.commands import full, merged, release
from ci.core.errors import ConfigurationError
from ci.core.params import Environment, Releasing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EDITED = "k8s/models/churn/staging/release.yaml: it was edited by hand"


class Base:
    """A base where churn's release.yaml was edited by hand, fraud is due, and loyal is released."""

    def to_do(self, model: str, environments: Mapping[str, Environment], behind: Sequence[str]) -> str:
        if model == "churn":
            raise ConfigurationError(EDITED)
        return f"{next(iter(environments))} does not run it yet" if model == "fraud" else ""


def test_a_model_that_cannot_be_read_gets_a_leg_that_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forge, "of", lambda _: None)
    monkeypatch.setattr(merged, "newest", lambda *_: cast("merged.Base", Base()))
    monkeypatch.setattr(dvc, "stale", lambda _: {})
    monkeypatch.setattr(full, "behind", lambda *_: ())
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    rules = Releasing(registry="r.example/line", base="base", environments={"staging": Environment(steps=[100])})
    assert release._plan(tmp_path, ["churn", "fraud", "loyal"], rules) == 0
    assert capsys.readouterr().out == f"churn: {EDITED}\nfraud: staging does not run it yet\n"
    assert (tmp_path / "out").read_text() == 'models=["churn", "fraud"]\nany=true\n'
