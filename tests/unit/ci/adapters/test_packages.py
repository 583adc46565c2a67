from __future__ import annotations

from importlib import metadata

from ci.adapters.packages import differing


def test_what_departs_from_the_constraints_is_named() -> None:
    numpy = metadata.version("numpy")
    constraints = f"# a comment\nnumpy=={numpy}\ntorch==1.0  # old\nno-such-package==3.1\n-e .\n"
    torch = metadata.version("torch")
    assert differing(constraints) == [f"torch is {torch}, not 1.0", "no-such-package 3.1 is not installed"]


def test_a_build_of_a_version_is_that_version() -> None:
    assert differing(f"torch=={metadata.version('torch').partition('+')[0]}+cu130") == []
