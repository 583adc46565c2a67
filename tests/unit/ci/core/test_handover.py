"""What is taken of a dvc.lock that nobody vouches for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.core.errors import ConfigurationError
from ci.core.handover import LARGEST, entries, merged
from ci.core.lineage import of_lock
from tests.unit.ci.core import test_training

if TYPE_CHECKING:
    from collections.abc import Callable


def md5(word: str) -> str:
    """A hash that looks like one."""
    return (word.removesuffix(".dir").encode().hex() + "0" * 32)[:32] + (".dir" if word.endswith(".dir") else "")


def lock() -> dict[str, Any]:
    stages = test_training.lock()
    for entry in stages.values():
        for one in (*entry["deps"], *entry["outs"]):
            one["md5"] = md5(one["md5"])
    return stages


def text(stages: dict[str, Any]) -> str:
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def test_the_full_stages_of_one_model_are_taken_and_nothing_else() -> None:
    stages = lock()
    more = {"train@a-smoke": {"cmd": "x"}, "train@b-full": ["not even an entry"]}
    assert entries(text({**more, **stages}), "a", "f") == stages


def test_they_are_put_in_place_of_the_older_ones() -> None:
    stages = lock()
    before = {"first": {"cmd": "1"}, "train@a-full": {"cmd": "older"}, "last": {"cmd": "2"}}
    found = yaml.safe_load(merged(before, stages))
    assert found["schema"] == "2.0"
    assert list(found["stages"])[:3] == ["first", "train@a-full", "last"]
    assert {name: found["stages"][name] for name in stages} == stages
    assert found["stages"]["last"] == {"cmd": "2"}


def test_it_is_written_as_dvc_writes_it() -> None:
    stages = lock()
    assert merged(stages, stages) == text(stages)


def refused(given: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        entries(given, "a", "lock/dvc.lock")
    assert caught.value.message.startswith("lock/dvc.lock is not taken over: ")
    assert "\n" not in caught.value.message
    return caught.value.message


def spoiled(spoil: Callable[[dict[str, Any]], object]) -> str:
    stages = lock()
    spoil(stages)
    return refused(text(stages))


@pytest.mark.parametrize(
    "given",
    ["", "[]", "a: 1", "stages: 3", "stages: {", "stages: [1]", "stages: !!python/object/apply:os.system [x]", "\x00"],
)
def test_what_is_no_lock_is_refused(given: str) -> None:
    refused(given)


def test_a_lock_without_the_training_is_refused() -> None:
    assert "does not hold every stage of the full training of a" in spoiled(lambda s: s.pop("evaluate@a-full"))


def test_references_are_refused_before_anything_is_built_of_them() -> None:
    bomb = "stages:\n  a: &a [x, x]\n" + "".join(
        f"  a{n}: &a{n} [*a{n - 1 if n else ''}, *a{n - 1 if n else ''}]\n" for n in range(60)
    )
    assert "has references in it" in refused(bomb)


@pytest.mark.parametrize(
    "value",
    [
        "!!binary aGk=",
        "!!timestamp x",
        '!!int ""',
        ".nan",
        "-.inf",
        "2024-01-01",
        "2024-99-99",
        "{1: 2, a: 3}",
        "{[1]: 2}",
        "[[{a: {2024-01-01: b}}]]",
        '"\\ud800"',
        "0x" + "f" * 5000,
        "1" * 5000,
        "1:" * 200 + "1.5",
    ],
)
def test_params_are_what_json_can_say(value: str) -> None:
    stages = lock()
    stages["train@a-full"]["params"] = {"p.yaml": {"x": "HERE"}}
    refused(text(stages).replace("HERE", value))


def test_plain_params_are_taken() -> None:
    stages = lock()
    stages["train@a-full"]["params"] = {"p.yaml": {"x": {"y": [1, -2.5, True, None, "ä", {"z": []}]}}}
    assert entries(text(stages), "a", "f") == stages


@pytest.mark.parametrize("field", ["cmd: ", "md5: ", "size: "])
def test_bytes_and_endless_numbers_are_refused_wherever_they_stand(field: str) -> None:
    for value in ("!!binary aGk=", "0x" + "f" * 5000):
        given = re.sub(rf"{field}.*", f"{field}{value}", text(lock()), count=1)
        assert value in given
        refused(given)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ("{a: ", "}")])
def test_deep_nesting_is_refused_in_words(opens: str, closes: str) -> None:
    for depth in (40, 50_000):
        assert "nested more than 32 deep" in refused(f"stages: {opens * depth}{closes * depth}")


def test_a_lock_larger_than_any_is_refused_before_it_is_read() -> None:
    assert "4,194,305 characters, and a lock at most 4,194,304" in refused("[" * (LARGEST + 1))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: s["train@a-full"].update(cmd="rm\n-rf"), "cmd"),
        (lambda s: s["train@a-full"].update(more=1), "more"),
        (lambda s: s["train@a-full"].pop("outs"), "outs"),
        (lambda s: s["train@a-full"]["outs"][0].update(md5="x"), "outs.0.md5"),
        (lambda s: s["train@a-full"]["outs"][0].update(path="../x"), "without . and .."),
        (lambda s: s["train@a-full"]["deps"][0].update(path="/etc/passwd"), "without . and .."),
        (lambda s: s["train@a-full"]["outs"][0].update(size=-1), "outs.0.size"),
        (lambda s: s["train@a-full"].update(params={"p.yaml": 3}), "params.p.yaml"),
        (
            lambda s: s["train@a-full"]["outs"].append({**s["train@a-full"]["outs"][0], "path": "ci/cli.py"}),
            "ci/cli.py",
        ),
        (lambda s: s["train@a-full"]["outs"].append({**s["train@a-full"]["outs"][0], "path": "artifacts/b/x"}), "of a"),
        (lambda s: s["evaluate@a-full"]["deps"][0].update(md5=md5("z")), "is not what train@a-full made"),
        (
            lambda s: s["evaluate@a-full"]["outs"].clear(),
            "lacks the data, the environment, the model or the predictions",
        ),
    ],
)
def test_what_dvc_would_not_have_written_is_refused(spoil: Callable[[dict[str, Any]], object], told: str) -> None:
    assert told in spoiled(spoil)


def test_a_message_cannot_speak_to_the_runner() -> None:
    said = spoiled(lambda s: s["train@a-full"].update({"::error::x": 1}))
    assert "::" not in said


def test_what_is_taken_has_a_lineage() -> None:
    found = of_lock(entries(text(lock()), "a", "f"), "a", "c1")
    assert found is not None
    assert (found.model_hash, found.commit) == (md5("m1"), "c1")
