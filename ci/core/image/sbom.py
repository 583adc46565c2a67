"""The bill of materials of an image, as CycloneDX 1.6: the model, Python packages, and the base's Debian packages.

Specification: https://cyclonedx.org/docs/1.6/json/; package URLs: https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import json
import re
import uuid
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ci.core.lineage import Lineage

SPACE = uuid.UUID("5b6c5f0e-6b0e-5a0c-9d6a-0f7c2f1f4a11")  # of the serial numbers made here, as RFC 9562 has it


def sbom(
    lineage: Lineage,
    *,
    created: str,
    base: str,
    serving_hash: str,
    model_sha256: str,
    python: Iterable[str],
    debian: str,
    os_release: str,
) -> bytes:
    """The bill of an image, the same bytes for the same parts.

    `python` holds the METADATA of each installed distribution, `debian` dpkg's status file and `os_release` the
    base's /etc/os-release, both empty for a base without them.
    """
    image = {
        "type": "container",
        "bom-ref": f"image:{lineage.model}",
        "name": lineage.model,
        "version": lineage.lock_hash[:16],
    }
    parts = [_model(lineage, model_sha256), _base(base), *_python(python), *_debian(debian, os_release)]
    parts.sort(key=lambda part: str(part["bom-ref"]))
    data = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, f'{lineage.lock_hash} {lineage.commit} {serving_hash}')}",
        "version": 1,
        "metadata": {"timestamp": created, "component": image},
        "components": parts,
        "dependencies": [{"ref": image["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _model(lineage: Lineage, sha256: str) -> dict[str, Any]:
    hashes = [{"alg": "MD5", "content": lineage.model_hash}, {"alg": "SHA-256", "content": sha256}]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{lineage.model}",
        "name": lineage.model,
        "version": lineage.lock_hash[:16],
        "hashes": hashes,
    }


def _base(base: str) -> dict[str, Any]:
    name, _, digest = base.rpartition("@")
    return {"type": "container", "bom-ref": f"base:{digest}", "name": name or "base image", "version": digest}


def _python(distributions: Iterable[str]) -> list[dict[str, Any]]:
    parts = []
    for text in distributions:
        head = HeaderParser().parsestr(text)
        name, version = head["Name"], head["Version"]
        purl = f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}"
        part: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        if spdx := head["License-Expression"]:
            part["licenses"] = [{"expression": spdx}]
        parts.append(part)
    return parts


def _debian(status: str, os_release: str) -> list[dict[str, Any]]:
    system = _assignments(os_release)
    distribution = f"{system.get('ID', 'debian')}-{system['VERSION_ID']}" if "VERSION_ID" in system else ""
    parts = []
    for paragraph in status.split("\n\n"):
        head = HeaderParser().parsestr(paragraph.strip("\n"))
        if not (head["Package"] and head["Version"] and "installed" in (head["Status"] or "").split()):
            continue
        name, version, architecture = head["Package"], head["Version"], head["Architecture"] or "all"
        place = f"pkg:deb/{quote(system.get('ID', 'debian'))}/{quote(name)}@{quote(version)}"
        purl = f"{place}?arch={architecture}" + (f"&distro={quote(distribution)}" if distribution else "")
        parts.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return parts


def quote(text: str) -> str:
    """Percent-encoded, as a part of a package URL."""
    return re.sub(
        r"[^\w.:~-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text, flags=re.ASCII
    )


def _assignments(text: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value.strip("\"'") for name, equals, value in pairs if equals}
