"""A sealed configuration keeps what an image does and drops who built it, when and where."""

from __future__ import annotations

from typing import Any

from ci.core.image.sealed import Base, config, differences, layer_of

BUILT: dict[str, Any] = {
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "created": "2026-11-22T00:31:43.4Z",
    "docker_version": "20.10.24",
    "container": "708ee058561c",
    "container_config": {"Hostname": "708ee058561c"},
    "config": {
        "Hostname": "708ee058561c",
        "Image": "sha256:7c69",
        "User": "10001:10001",
        "Env": ["PATH=/bin", "PORT=8080"],
        "Cmd": None,
        "Entrypoint": ["python3", "-m", "ml.serve"],
        "Healthcheck": {"Test": ["CMD", "python3"]},
        "WorkingDir": "/app",
        "Labels": {"of": "the base"},
    },
    "history": [
        {"created": "2026-01-01T00:00:00Z", "created_by": "base: files"},
        {"created": "2026-01-01T00:00:00Z", "created_by": "base: command", "empty_layer": True},
        {"created": "2026-11-22T00:31:43Z", "created_by": "COPY dir:6bf98f"},
        {"created": "2026-11-22T00:31:43Z", "created_by": "USER", "empty_layer": True},
    ],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base", "sha256:builder's"]},
}


def test_what_it_does_stays_and_who_built_it_goes() -> None:
    made = config(BUILT, Base(1, 2), ["sha256:one", "sha256:two"], "2026-11-21T00:00:00Z", {"ours": "too"})
    assert made == {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": "2026-11-21T00:00:00Z",
        "config": {
            "User": "10001:10001",
            "Env": ["PATH=/bin", "PORT=8080"],
            "Entrypoint": ["python3", "-m", "ml.serve"],
            "Healthcheck": {"Test": ["CMD", "python3"]},
            "WorkingDir": "/app",
            "Labels": {"of": "the base", "ours": "too"},
        },
        "history": [
            *BUILT["history"][:2],
            {"created": "1970-01-01T00:00:00Z", "created_by": "trunkline image: the libraries"},
            {"created": "1970-01-01T00:00:00Z", "created_by": "trunkline image: the server and the model"},
        ],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:base", "sha256:one", "sha256:two"]},
    }


def test_another_builder_and_another_day_give_the_same() -> None:
    other = {**BUILT, "created": "2027-01-01T00:00:00Z", "docker_version": "29", "container": ""}
    other["config"] = {**BUILT["config"], "Hostname": "x", "Image": ""}
    other["history"] = [*BUILT["history"][:2], {"created_by": "COPY # buildkit"}, {"created_by": "ENV # buildkit"}]
    other["rootfs"] = {"type": "layers", "diff_ids": ["sha256:base", "sha256:another's"]}
    args = (Base(1, 2), ["sha256:one"], "2026-11-21T00:00:00Z", {"ours": "too"})
    assert config(other, *args) == config(BUILT, *args)


def test_libraries_are_a_layer_of_their_own() -> None:
    paths = ("app/lib", "app/lib/numpy/__init__.py", "app/library", "app/ml/serve/app.py", "etc/x")
    assert [layer_of(path) for path in paths] == [0, 0, 1, 1, 1]


def test_differences_are_named_by_path() -> None:
    assert differences({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == ["a", "c", "d"]
    assert differences({"a": "1"}, {"a": "1"}) == []
