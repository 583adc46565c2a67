"""The bill of materials is valid CycloneDX with package URLs that others read, and the same for the same parts."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from ci.core.image.sbom import sbom
from tests.history import version

LINEAGE = version("churn", 1).lineage
BASE = f"python:3.11-slim@sha256:{'0a' * 32}"
PYTHON = [
    "Metadata-Version: 2.4\nName: prometheus_client\nVersion: 0.26.0\nLicense-Expression: Apache-2.0\n\nName: no\n",
    "Metadata-Version: 2.1\nName: numpy\nVersion: 2.4.6\nLicense: BSD\n",
]
DEBIAN = """Package: libstdc++6
Status: install ok installed
Version: 1:12.2.0-14+deb12u1
Architecture: amd64
Description: library
 more of it

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026b~1
"""
SYSTEM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


def bill(**changes: Any) -> bytes:
    """A bill of two Python and two Debian packages."""
    parts: dict[str, Any] = {
        "created": "2026-11-22T00:00:00Z",
        "base": BASE,
        "serving_hash": "5e",
        "model_sha256": "1f" * 32,
        "python": PYTHON,
        "debian": DEBIAN,
        "os_release": SYSTEM,
    }
    return sbom(LINEAGE, **{**parts, **changes})


def purls(content: bytes) -> list[PackageURL]:
    return [PackageURL.from_string(part["purl"]) for part in json.loads(content)["components"] if "purl" in part]


def test_it_keeps_to_the_published_schema() -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bill().decode()) is None
    assert validator.validate_str(bill(debian="", os_release="", python=[]).decode()) is None
    assert validator.validate_str(bill().decode().replace('"container"', '"barrel"')) is not None


def test_packages_are_told_as_others_tell_them() -> None:
    told = [(one.type, one.namespace, one.name, one.version, one.qualifiers) for one in purls(bill())]
    assert told == [
        ("deb", "debian", "libstdc++6", "1:12.2.0-14+deb12u1", {"arch": "amd64", "distro": "debian-12"}),
        ("deb", "debian", "tzdata", "2026b~1", {"arch": "all", "distro": "debian-12"}),
        ("pypi", None, "numpy", "2.4.6", {}),
        ("pypi", None, "prometheus-client", "0.26.0", {}),
    ]
    assert [one.to_string() for one in purls(bill())] == [
        part["purl"] for part in json.loads(bill())["components"] if "purl" in part
    ]


def test_model_base_and_licences() -> None:
    parts = {part["bom-ref"]: part for part in json.loads(bill())["components"]}
    assert {"alg": "MD5", "content": LINEAGE.model_hash} in parts["model:churn"]["hashes"]
    assert parts["model:churn"]["type"] == "machine-learning-model"
    assert parts[f"base:sha256:{'0a' * 32}"]["name"] == "python:3.11-slim"
    assert parts["pkg:pypi/prometheus-client@0.26.0"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert "licenses" not in parts["pkg:pypi/numpy@2.4.6"]


def test_the_same_parts_give_the_same_bytes() -> None:
    assert bill() == bill(python=PYTHON[::-1])
    serials = {json.loads(content)["serialNumber"] for content in (bill(), bill(serving_hash="6f"))}
    assert len(serials) == 2
