"""Archives as docker saves them are sealed to bytes that depend on the files alone."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.sealing import Found, Plan, seal
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image.sealed import Base, Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Member = tarfile.TarInfo
STATUS = "Package: libc6\nStatus: install ok installed\nVersion: 2.36\n"


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> Member:
    made = Member(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def layer(members: list[tuple[Member, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for header, content in members:
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


BASE_LAYER = layer(
    [(member("./var/lib/dpkg/status"), STATUS.encode()), (member("./usr/lib/os-release"), b"ID=debian\n")]
)


def save(path: Path, *layers: bytes, day: int = 1, **settings: Any) -> Path:
    """An image of these layers, as a daemon would save it on a day."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": f"2026-11-0{day}",
        "config": {"User": "10001", "Hostname": f"host-{day}", **settings},
        "history": [{"created_by": "base"}, *({"created_by": f"day {day}"} for _ in layers)],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:base", *("sha256:any" for _ in layers)]},
    }
    names = [f"{number}/layer.tar" for number in range(len(layers) + 1)]
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": names}]
    with tarfile.open(path, "w") as out:
        for name, content in (
            *zip(names, (BASE_LAYER, *layers), strict=True),
            ("c.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            header = member(name)
            header.size = len(content)
            out.addfile(header, io.BytesIO(content))
    return path


def plan(found: list[Found] | None = None, added: Mapping[str, bytes] | None = None) -> Plan:
    def add(seen: Found) -> Mapping[str, bytes]:
        if found is not None:
            found.append(seen)
        return added or {}

    return Plan(Base(1, 1), "2026-11-22T00:00:00Z", {"a": "b"}, add)


def sealed(tmp_path: Path, *layers: bytes, day: int = 1) -> tuple[Sealed, bytes]:
    out = tmp_path / f"sealed-{day}.tar"
    made = seal(save(tmp_path / f"saved-{day}.tar", *layers, day=day), out, plan())
    return made, out.read_bytes()


def ours(content: bytes) -> list[list[tuple[str, bytes, int, int, int, bytes | str]]]:
    """Of each layer above the base: name, kind, mode, owner, time, and content or target."""
    read = []
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        manifest = json.load(_file(archive, "manifest.json"))[0]
        for name in manifest["Layers"][1:]:
            with tarfile.open(fileobj=_file(archive, name)) as inner:
                read.append([_told(inner, each) for each in inner])
    return read


def _file(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    content = archive.extractfile(name)
    assert content is not None
    return io.BytesIO(content.read())


def _told(archive: tarfile.TarFile, each: Member) -> tuple[str, bytes, int, int, int, bytes | str]:
    what = _file(archive, each.name).read() if each.isreg() else each.linkname
    return (each.name, each.type, each.mode, each.uid, int(each.mtime), what)


LIBRARY = [
    (member("app", tarfile.DIRTYPE, mode=0o700, mtime=5), b""),
    (member("app/lib/a.so", mode=0o755, uid=7, mtime=5), b"library"),
    (member("app/lib/a.so.1", tarfile.SYMTYPE, linkname="a.so"), b""),
    (member("app/lib/b.so", tarfile.LNKTYPE, linkname="app/lib/a.so", mode=0o755), b""),
]
SERVER = [(member("app/ml/serve.py", mode=0o666, mtime=6), b"1"), (member("app/model/m", mode=0o600), b"2")]


def test_libraries_and_server_become_two_layers_of_roots_without_times(tmp_path: Path) -> None:
    _, content = sealed(tmp_path, layer(SERVER + LIBRARY))
    assert ours(content) == [
        [
            ("app", tarfile.DIRTYPE, 0o755, 0, 0, ""),
            ("app/lib", tarfile.DIRTYPE, 0o755, 0, 0, ""),
            ("app/lib/a.so", tarfile.REGTYPE, 0o755, 0, 0, b"library"),
            ("app/lib/a.so.1", tarfile.SYMTYPE, 0o777, 0, 0, "a.so"),
            ("app/lib/b.so", tarfile.REGTYPE, 0o755, 0, 0, b"library"),
        ],
        [
            ("app", tarfile.DIRTYPE, 0o755, 0, 0, ""),
            ("app/ml", tarfile.DIRTYPE, 0o755, 0, 0, ""),
            ("app/ml/serve.py", tarfile.REGTYPE, 0o644, 0, 0, b"1"),
            ("app/model", tarfile.DIRTYPE, 0o755, 0, 0, ""),
            ("app/model/m", tarfile.REGTYPE, 0o644, 0, 0, b"2"),
        ],
    ]


def test_order_layers_days_and_hosts_make_no_difference(tmp_path: Path) -> None:
    one, first = sealed(tmp_path, layer(LIBRARY + SERVER), day=1)
    two, second = sealed(tmp_path, layer(LIBRARY), layer(SERVER[::-1]), day=2)
    assert one == two
    assert first == second
    other, _ = sealed(tmp_path, layer([*LIBRARY, (member("app/ml/serve.py"), b"3"), SERVER[1]]), day=3)
    assert other.config_digest != one.config_digest
    assert one.files["app/ml/serve.py"] == hashlib.sha256(b"1").hexdigest()


def test_the_configuration_names_the_layers_by_the_digests_they_have(tmp_path: Path) -> None:
    made, content = sealed(tmp_path, layer(LIBRARY + SERVER))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = json.load(_file(archive, "manifest.json"))[0]["Layers"]
        config = _file(archive, "config.json").read()
        digests = [f"sha256:{hashlib.sha256(_file(archive, name).read()).hexdigest()}" for name in names[1:]]
        assert _file(archive, names[0]).read() == BASE_LAYER
    assert made.config_digest == f"sha256:{hashlib.sha256(config).hexdigest()}"
    assert json.loads(config)["rootfs"]["diff_ids"] == ["sha256:base", *digests]
    assert json.loads(config)["config"] == {"User": "10001", "Labels": {"a": "b"}}


def test_what_was_found_is_told_and_what_is_made_of_it_is_added(tmp_path: Path) -> None:
    found: list[Found] = []
    metadata = (member("app/lib/numpy-2.dist-info/METADATA"), b"Name: numpy\n")
    saved = save(tmp_path / "saved.tar", layer([metadata, *SERVER]))
    made = seal(saved, tmp_path / "out.tar", plan(found, {"app/bill.json": b"{}"}))
    assert found[0].python == ["Name: numpy\n"]
    assert found[0].base == {"debian": STATUS, "os_release": "ID=debian\n"}
    assert [name for name, *_ in ours((tmp_path / "out.tar").read_bytes())[1]].count("app/bill.json") == 1
    assert made.files == found[0].hashes


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (member("app/.wh.secret"), "takes app/secret away in its last stage"),
        (member("app/pipe", tarfile.FIFOTYPE), "makes app/pipe, which is no file, folder or link"),
        (member("./.env"), r"/\.env \(its name is one that secrets have\)"),
        (member("app/.env"), r"/app/\.env \(its name is one that secrets have\)"),
    ],
)
def test_what_may_not_be_in_an_image(tmp_path: Path, bad: Member, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        sealed(tmp_path, layer([*SERVER, (bad, b"")]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"Env": ["PATH=/bin", "API_TOKEN=abc"]}, "ENV API_TOKEN .its name is one that secrets have"),
        ({"Labels": {"note": "AKIAIOSFODNN7EXAMPLE"}}, "LABEL note .it holds what looks like an AWS key"),
    ],
)
def test_what_may_not_be_in_a_configuration(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    saved = save(tmp_path / "saved.tar", layer(SERVER), **settings)
    with pytest.raises(ConfigurationError, match=words):
        seal(saved, tmp_path / "out.tar", plan())


def test_all_that_is_refused_is_told(tmp_path: Path) -> None:
    bad = [(member(f"app/{number}.pkl"), b"") for number in range(7)]
    with pytest.raises(ConfigurationError, match=r"/app/0\.pkl .*, /app/4\.pkl .* and 2 more; take it out"):
        sealed(tmp_path, layer(bad))


def test_an_archive_that_is_no_image(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(EnvironmentFault, match=r"without manifest\.json"):
        seal(tmp_path / "empty.tar", tmp_path / "out.tar", plan())
