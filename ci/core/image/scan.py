"""What may not be in an image: secrets, by name and by content, and pickle files, which run code when they are read."""

from __future__ import annotations

import pickletools
import re

SECRET_NAMES = re.compile(
    r"(\.env(\..+)?|\.netrc|_netrc|\.pypirc|\.npmrc|\.pgpass|\.git-credentials|\.dockercfg|\.boto|\.s3cfg|\.htpasswd"
    r"|id_(rsa|dsa|ecdsa|ed25519)|kubeconfig|credentials(\.json|\.ya?ml)?|service[-_]account.*\.json|secrets?\.(json|ya?ml|toml)"
    r"|config\.local|.+\.(p12|pfx|jks|keystore|kdbx|ppk|key))"
)
SECRET_FOLDERS = frozenset({".aws", ".azure", ".docker", ".dvc", ".git", ".gnupg", ".kube", ".ssh"})
SECRETS = tuple(  # what it is, bytes that every one of them has and that are fast to look for, and its whole form
    (words, marker, re.compile(form))
    for words, marker, form in (
        ("a private key", b"PRIVATE KEY-----", rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----\s+[A-Za-z0-9+/=:,\s-]{64}"),
        ("an AWS key", b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b"),
        ("an AWS key", b"ASIA", rb"\bASIA[0-9A-Z]{16}\b"),
        *(("a GitHub token", b"gh%c_" % kind, rb"\bgh%c_[A-Za-z0-9]{36}" % kind) for kind in b"pousr"),
        ("a GitHub token", b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{60}"),
        ("a GitLab token", b"glpat-", rb"\bglpat-[A-Za-z0-9_-]{20}"),
        ("a Google key", b"AIza", rb"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("a Slack token", b"xox", rb"\bxox[abprs]-[0-9A-Za-z-]{20}"),
        ("a PyPI token", b"pypi-AgEIcHlwaS5vcmc", rb"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50}"),
        ("a Hugging Face token", b"hf_", rb"\bhf_[A-Za-z]{34}\b"),
    )
)
PICKLE_NAMES = re.compile(r".+\.(pkl|pickle|pck|dill|joblib|pt|pth|ckpt)(\.(gz|bz2|xz|z|zst))?", re.IGNORECASE)
NUMPY_OBJECTS = re.compile(rb"\x93NUMPY.{1,7}\{'descr': '\|O'", re.DOTALL)
ZIP, INNER_PICKLE = b"PK\x03\x04", b"data.pkl"


def refusal(path: str, content: bytes) -> str | None:
    """Why a file may not be in an image, or None. `path` is from the image's root, without a leading slash."""
    *folders, name = path.split("/")
    if found := SECRET_FOLDERS & {*folders}:
        return f"it is in {min(found)}/, where credentials are kept"
    if SECRET_NAMES.fullmatch(name):
        return "its name is one that secrets have"
    for words, marker, form in SECRETS:
        if marker in content and form.search(content):
            return f"it holds what looks like {words}"
    if PICKLE_NAMES.fullmatch(name) or _is_pickle(content):
        return "it is a pickle file, and reading one can run any code"
    return None


def _is_pickle(content: bytes) -> bool:
    """Whether bytes are a pickle of protocol 2 or later, a zip with one as torch writes, or numpy's objects."""
    if content.startswith(ZIP):
        return INNER_PICKLE in content
    if NUMPY_OBJECTS.match(content):
        return True
    if not (content.startswith(b"\x80") and content[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}):
        return False
    try:
        for _ in pickletools.genops(content):
            pass
    except Exception:  # noqa: BLE001 - pickletools documents no exceptions; what it cannot read is no whole pickle
        return False
    return True
