"""What may not be in an image: secrets, by name and by content, and pickle files, which run code when they are read."""

from __future__ import annotations

import re

from ci.core.image import archives, pickles

SECRET_NAMES = re.compile(
    r"(\.env(\..+)?|\.netrc|_netrc|\.pypirc|\.npmrc|\.pgpass|\.git-credentials|\.dockercfg|\.boto|\.s3cfg|\.htpasswd"
    r"|id_(rsa|dsa|ecdsa|ed25519)|kubeconfig|credentials(\.json|\.ya?ml)?|service[-_]account.*\.json|secrets?\.(json|ya?ml|toml)"
    r"|config\.local|.+\.(p12|pfx|jks|keystore|kdbx|ppk|key))"
)
SECRET_FOLDERS = frozenset({".aws", ".azure", ".docker", ".dvc", ".git", ".gnupg", ".kube", ".ssh"})
PRIVATE_KEY = rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----(?:\s|\\+[rn])+(?:[A-Za-z0-9+/=:,\s-]|\\+[rn]){64}"
AWS_SECRET = rb"(?i:secret_?access_?key)[\"']?\s{0,9}[:=]\s{0,9}[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
SECRETS = tuple(  # what it is, bytes that every one of them has and that are fast to look for, and its whole form
    (words, marker, re.compile(form))
    for words, marker, form in (
        ("a private key", b"PRIVATE KEY-----", PRIVATE_KEY),
        ("an AWS key", b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b"),
        ("an AWS key", b"ASIA", rb"\bASIA[0-9A-Z]{16}\b"),
        *(("an AWS secret key", marker, AWS_SECRET) for marker in (b"secret_access_key", b"SECRET_ACCESS_KEY")),
        ("an AWS secret key", b"ecretAccessKey", AWS_SECRET),
        *(("a Stripe key", marker, rb"\b[sr]k_live_[0-9A-Za-z]{20}") for marker in (b"sk_live_", b"rk_live_")),
        ("an Anthropic key", b"sk-ant-", rb"\bsk-ant-[A-Za-z0-9_-]{20}"),
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
SETTING_NAMES = re.compile(
    r".*(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)", re.IGNORECASE
)
MOST_NULS = 0.3  # of all bytes: what has more may be a text with two or four bytes a letter
DEEPEST = 3  # archives in archives


def refusal(path: str, content: bytes, depth: int = 0) -> str | None:
    """Why a file may not be in an image, or None. `path` is from the image's root, without a leading slash."""
    *folders, name = path.split("/")
    if found := SECRET_FOLDERS & {*folders}:
        return f"it is in {min(found)}/, where credentials are kept"
    if SECRET_NAMES.fullmatch(name):
        return "its name is one that secrets have"
    if words := _secret(content):
        return f"it holds what looks like {words}"
    if PICKLE_NAMES.fullmatch(name) or pickles.is_pickle(content):
        return "it is a pickle file, and reading one can run any code"
    return _refused_inside(content, depth)


def _refused_inside(content: bytes, depth: int) -> str | None:
    """Why what is packed in a file may not be in an image, or None."""
    try:
        for inner, unpacked in archives.unpacked(content):
            if depth == DEEPEST:
                return "it has archives in archives in archives, which nobody looks into"
            if why := refusal(inner, unpacked, depth + 1):
                return why
    except archives.Closed as closed:
        return f"it is an archive that cannot be looked into ({closed})"
    return None


def refused_setting(name: str, value: str) -> str | None:
    """Why a variable or a label may not be in an image's configuration, or None."""
    if SETTING_NAMES.fullmatch(name) and value:
        return "its name is one that secrets have"
    words = _secret(f"{name}={value}".encode())
    return f"it holds what looks like {words}" if words else None


def _secret(content: bytes) -> str | None:
    """What secret is in a content, or None; in a text of UTF-16 as well."""
    texts = [content]
    if content.count(0) > MOST_NULS * len(content):
        texts.append(content.replace(b"\0", b""))
    for text in texts:
        for words, marker, form in SECRETS:
            if marker in text and form.search(text):
                return words
    return None
