"""One pin of a `.dvc` file is changed, and nothing else of its text."""

from __future__ import annotations

import pytest

from ci.core.errors import ConfigurationError
from ci.core.retraining import pins
from ci.core.retraining.records import Pin

ONE, TWO, NEW = "1" * 32 + ".dir", "2" * 32 + ".dir", "3" * 32 + ".dir"
BOTH = f"""\
# what we train on
outs:
- path: data/churn
  md5: {ONE}
  size: 10
  nfiles: 1
  hash: md5
- path: data/fraud
  md5: {TWO}
  size: 20
  nfiles: 1
  hash: md5
"""
ALONE = f"outs:\n- md5: {TWO}\n  size: 20\n  nfiles: 1\n  hash: md5\n  path: fraud\n"


def test_one_pin_is_changed_and_nothing_else() -> None:
    made = pins.repinned(BOTH, "data.dvc", "data/churn", Pin(md5=NEW, size=11, nfiles=2))
    assert made == BOTH.replace(ONE, NEW).replace("size: 10", "size: 11").replace("nfiles: 1", "nfiles: 2", 1)
    assert pins.pin_of(made, "data.dvc", "data/fraud") == Pin(md5=TWO, size=20, nfiles=1)


def test_a_model_may_have_a_file_of_its_own_as_dvc_writes_it() -> None:
    made = pins.repinned(ALONE, "data/fraud.dvc", "data/fraud", Pin(md5=NEW, size=21, nfiles=1))
    assert made == ALONE.replace(TWO, NEW).replace("size: 20", "size: 21")


def test_what_is_not_pinned_or_no_pin_is_refused() -> None:
    assert pins.pin_of(BOTH, "data.dvc", "data/other") is None
    with pytest.raises(ConfigurationError, match=r"data\.dvc does not pin data/other"):
        pins.repinned(BOTH, "data.dvc", "data/other", Pin(md5=NEW))
    with pytest.raises(ConfigurationError, match="not a DVC file"):
        pins.pin_of("outs: 3", "data.dvc", "data/churn")
    flow = f"outs: [{{path: data/churn, md5: {ONE}}}]\n"
    with pytest.raises(ConfigurationError, match=r"data\.dvc"):
        pins.repinned(flow, "data.dvc", "data/churn", Pin(md5=NEW))
