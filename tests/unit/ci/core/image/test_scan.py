"""What may not be in an image is found by name and by content, and what only looks like it is let through."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from ci.core.image.scan import refusal

KEY_BODY = b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"


def zipped(name: str, content: bytes) -> bytes:
    """A zip archive with one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
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
        (b"hf_" + b"abcdefghijklmnopqrstuvwxyzABCDEFGH", "a Hugging Face token"),
    ],
)
def test_secrets_in_content(content: bytes, words: str) -> None:
    assert refusal("app/notes.txt", b"before\n" + content + b"\nafter") == f"it holds what looks like {words}"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/model.pkl", b""),
        ("app/model.PICKLE", b""),
        ("app/model.joblib.gz", b""),
        ("app/weights.pt", b""),
        *((f"app/protocol-{number}", pickle.dumps({"a": 1}, protocol=number)) for number in range(2, 6)),
        ("app/torch.bin", zipped("archive/data.pkl", b"")),
        ("app/objects.npy", saved([object, 1])),
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
        ("app/wheel.zip", zipped("a.txt", b"text")),
    ],
)
def test_what_only_looks_like_it(path: str, content: bytes) -> None:
    assert refusal(path, content) is None
