"""What may not be in an image is found by name and by content, and what only looks like it is let through."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from ci.core.image import archives
from ci.core.image.scan import refusal, refused_setting

KEY_BODY = b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"


def zipped(name: str, content: bytes) -> bytes:
    """A zip archive with one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)  # which is of 1980, whenever it is made
    return out.getvalue()


def saved(values: object) -> bytes:
    """What numpy saves."""
    out = io.BytesIO()
    np.save(out, np.array(values, dtype=object if isinstance(values, list) else None), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "app/.env",
        "app/.env.production",
        "root/.netrc",
        "app/ml/serve/id_ed25519",
        "app/server.key",
        "app/credentials.json",
        "app/secrets.yaml",
        "home/line/.aws/config",
        "app/.git/config",
        "app/.dvc/config.local",
    ],
)
def test_names_of_secrets(path: str) -> None:
    assert refusal(path, b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"-----BEGIN PRIVATE KEY-----\n" + KEY_BODY, "a private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n" + KEY_BODY, "a private key"),
        (b"key = AKIAIOSFODNN7EXAMPLE\n", "an AWS key"),
        (b'token: "ghs_0123456789abcdefghijABCDEFGHIJ012345"', "a GitHub token"),
        (b"github_pat_" + b"1a" * 41, "a GitHub token"),
        (b"glpat-abcdefghij0123456789", "a GitLab token"),
        (b"AIza" + b"Sy012" * 7, "a Google key"),
        (b"xoxb-0123456789-0123456789", "a Slack token"),
        (b"AWS_SECRET_ACCESS_KEY=" + b"wJalrXUtnFEMI/K7MDENG+" + b"b" * 18, "an AWS secret key"),
        (b'{"SecretAccessKey": "' + b"wJalrXUtnFEMI/K7MDENG+" + b"b" * 18 + b'"}', "an AWS secret key"),
        (b"sk_live_" + b"4eC39HqLyjWDarjtT1zdp7dc", "a Stripe key"),
        (b"sk-ant-" + b"api03-abcdefghij0123456789", "an Anthropic key"),
        (json.dumps({"k": f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY.decode()}"}).encode(), "a private key"),
        (b"hf_" + b"abcdefghijklmnopqrstuvwxyzABCDEFGH", "a Hugging Face token"),
    ],
)
def test_secrets_in_content(content: bytes, words: str) -> None:
    assert refusal("app/notes.txt", b"before\n" + content + b"\nafter") == f"it holds what looks like {words}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_secrets_in_wide_letters(encoding: str) -> None:
    content = "token: ghs_0123456789abcdefghijABCDEFGHIJ012345\n".encode(encoding)
    assert refusal("app/notes.txt", content) == "it holds what looks like a GitHub token"


def test_secrets_in_archives() -> None:
    assert refusal("app/a.zip", zipped(".env", b"A=1")) == "its name is one that secrets have"
    assert (
        refusal("app/a", gzip.compress(b"key = AKIAIOSFODNN7EXAMPLE", mtime=0)) == "it holds what looks like an AWS key"
    )


class Calling:
    """Calls something when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("read",)


CALLS = pickle.dumps(Calling(), protocol=0)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        *((f"app/calls-{number}", pickle.dumps(Calling(), protocol=number)) for number in range(6)),
        ("app/breaks-off", CALLS[:-1]),
        ("app/more-behind", CALLS + b"and more"),
        ("app/zipped", zipped("any", CALLS)),
        ("app/zipped-behind", b"#!/bin/sh\n" + zipped("any", CALLS)),
        ("app/zipped-twice", zipped("any", zipped("any", CALLS))),
        ("app/gzipped", gzip.compress(CALLS, mtime=0)),
        ("app/gzipped-parts", gzip.compress(b"", mtime=0) + gzip.compress(CALLS, mtime=0)),
        ("app/model.pkl", b""),
        ("app/model.PICKLE", b""),
        ("app/model.joblib.gz", b""),
        ("app/weights.pt", b""),
        *((f"app/protocol-{number}", pickle.dumps({"a": 1}, protocol=number)) for number in range(6)),
        ("app/torch.bin", zipped("archive/data.pkl", b"")),
        ("app/objects.npy", saved([object, 1])),
        ("app/fields.npy", saved(np.array([(1, object)], dtype=[("a", "<i8"), ("b", "O")]))),
        ("app/objects.npz", zipped("a.npy", saved([object, 1]))),
    ],
)
def test_pickle_files(path: str, content: bytes) -> None:
    assert refusal(path, content) == "it is a pickle file, and reading one can run any code"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/lib/starlette/middleware/authentication.py", b"token = ghs_ # AKIA, glpat-, hf_ and xoxb-"),
        ("app/lib/libssl.so", b"\x00-----BEGIN PRIVATE KEY-----\x00-----END PRIVATE KEY-----\x00" + b"x" * 99),
        ("app/model/model.onnx", b"\x08\x08\x12\x07pytorch"),
        ("app/lib/keys.py", b"KEYS = 1"),
        ("app/environment", b""),
        ("app/half", pickle.dumps([1])[:-1]),
        ("app/numbers.npy", saved((1.0, 2.0))),
        ("app/fields.npy", saved(np.array([(1, 2.0)], dtype=[("O", "<i8"), ("b", "<f8")]))),
        ("app/numbers.npz", zipped("a.npy", saved((1.0, 2.0)))),
        ("app/.gitignore", b"cover\nbuild\n.venv\n"),
        ("app/words", b"click\nflask\nRequests\n"),
        ("app/LICENSE", b"(c) 2026 The authors\nAll rights reserved\n."),
        ("app/point", b"."),
        ("app/VERSION", b"2.0.1\n"),
        ("app/zipfile.pyc", b'a program that knows b"PK\x05\x06"' + b"\0" * 40),
        ("app/x", b"x\x9c is no stream"),
        ("app/notes.txt", "secret_access_key, sk_live_ and sk-ant-".encode("utf-16")),
        ("app/aws.py", b"aws_secret_access_key=credentials.secret_key"),
        ("app/gzipped", gzip.compress(b"text", mtime=0)),
        ("app/wheel.zip", zipped("a.txt", b"text")),
    ],
)
def test_what_only_looks_like_it(path: str, content: bytes) -> None:
    assert refusal(path, content) is None


def test_what_unpacks_to_too_much_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST", 1 << 20)
    for content in (gzip.compress(b"\0" * (1 << 21), mtime=0), zipped("a", b"\0" * (1 << 21))):
        assert refusal("app/a", content) == "it is an archive that cannot be looked into (it holds more than 1 MiB)"


def test_archives_without_end_are_refused() -> None:
    content = b"text"
    for _ in range(5):
        content = gzip.compress(content, mtime=0)
    assert "archives in archives" in str(refusal("app/a", content))


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("DB_PASSWORD", "horse", True),
        ("NOTE", "ghs_0123456789abcdefghijABCDEFGHIJ012345", True),
        ("AWS_SECRET_ACCESS_KEY", "", False),
        ("PATH", "/usr/bin:/bin", False),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D", False),
        ("dev.trunkline.lock-hash", "a" * 64, False),
    ],
)
def test_settings(name: str, value: str, refused: bool) -> None:
    assert bool(refused_setting(name, value)) is refused
