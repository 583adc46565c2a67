"""Labels carry the whole lineage, and the hash of all that an image holds beside its model."""

from __future__ import annotations

from ci.core.image.labels import labels, of_lineage, serving_hash
from tests.history import version

LINEAGE = version("churn", 1).lineage
FILES = {"Dockerfile": b"FROM x", "ml/serve/app.py": b"1"}


def test_every_part_of_the_lineage_that_is_an_input_is_a_label() -> None:
    assert of_lineage(LINEAGE) == {
        "org.opencontainers.image.revision": LINEAGE.commit,
        "dev.trunkline.model": "churn",
        "dev.trunkline.lock-hash": LINEAGE.lock_hash,
        "dev.trunkline.model-hash": LINEAGE.model_hash,
        "dev.trunkline.data-hash": LINEAGE.data_hash,
        "dev.trunkline.params-hash": LINEAGE.params_hash,
        "dev.trunkline.code-hash": LINEAGE.code_hash,
        "dev.trunkline.environment-hash": LINEAGE.environment_hash,
    }


def test_labels_of_the_image_itself() -> None:
    made = labels(LINEAGE, created="2026-11-22T00:00:00Z", base="python@sha256:0a", serving_hash="5e")
    assert made.items() >= of_lineage(LINEAGE).items()
    assert made["org.opencontainers.image.created"] == "2026-11-22T00:00:00Z"
    assert made["org.opencontainers.image.title"] == "churn"
    assert made["org.opencontainers.image.version"] == LINEAGE.lock_hash[:16]
    assert made["org.opencontainers.image.base.name"] == "python@sha256:0a"
    assert made["dev.trunkline.serving-hash"] == "5e"


def test_the_serving_hash_is_of_each_file_and_the_base() -> None:
    known = serving_hash(FILES, "base")
    assert serving_hash(dict(reversed(FILES.items())), "base") == known
    others = [
        serving_hash(FILES, "another base"),
        serving_hash({**FILES, "Dockerfile": b"FROM y"}, "base"),
        serving_hash({**FILES, "ml/serve/more.py": b""}, "base"),
        serving_hash({"Dockerfile": b"FROM x"}, "base"),
    ]
    assert len({known, *others}) == 5
