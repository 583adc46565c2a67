from __future__ import annotations

import pytest

from ci.core.errors import ConfigurationError
from ci.core.serving import Served, parse_served, require_features
from ci.core.strict import Place

PLACE = Place("p.yaml", lambda where: 7 if where == ("serving", "sensitive") else None).at("serving")


def test_nothing_is_sensitive_unless_it_is_said() -> None:
    assert parse_served(None, PLACE) == Served(sensitive={})
    assert parse_served({"sensitive": {"age": "hash", "name": "drop"}}, PLACE).sensitive == {
        "age": "hash",
        "name": "drop",
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"sensitiv": {}}, "did you mean 'sensitive'?"),
        ({"sensitive": {"age": "hide"}}, "'serving.sensitive.age' is 'hide'; known are: drop, hash"),
        ({"sensitive": ["age"]}, "should be a valid dictionary"),
    ],
)
def test_a_mistake_is_told(data: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words.replace("?", r"\?")):
        parse_served(data, PLACE)


def test_what_is_no_feature_is_told() -> None:
    served = parse_served({"sensitive": {"agee": "drop"}}, PLACE)
    with pytest.raises(ConfigurationError, match=r"p.yaml:7: 'agee' is sensitive, but no feature .* mean 'age'"):
        require_features(served, ["age", "tenure"], PLACE)
    require_features(served, ["agee"], PLACE)
