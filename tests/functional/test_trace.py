"""`trunkline trace` and `trunkline audit` on repositories with a past, by real git."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ci.core.forge import Approval
from ci.core.release import dump, path_of, release
from tests.history import Past, note, rollout, version
from tests.project import ROOT, Project

if TYPE_CHECKING:
    from pathlib import Path

    from ci.core.release import Version

PARAMS = {
    "params.yaml": (ROOT / "params.yaml").read_text(),
    "ml/models/churn/waivers/late.yaml": "gate: roc_auc.min\nreason: known\nwho: Ada\nexpires: 2026-01-01\n",
}


def lock(**made: str) -> str:
    """A dvc.lock with the full stages of each model named; the text it is given stands for what they made."""
    stages: dict[str, Any] = {}
    for model, text in made.items():
        here = f"artifacts/{model}/full"
        deps = [
            {"path": path, "md5": f"{text}-{path}"} for path in (f"data/{model}", "constraints.txt", "ml/params.py")
        ]
        outs = {"train": "model.onnx", "evaluate": "predictions.parquet"}
        stages[f"validate@{model}"] = {"cmd": "validate", "deps": deps}
        for stage in ("prepare", "train", "evaluate"):
            files = [{"path": f"{here}/{outs[stage]}", "md5": f"{text}{stage}"}] if stage in outs else []
            stages[f"{stage}@{model}-full"] = {"cmd": stage, "deps": deps, "outs": files}
    return json.dumps({"schema": "2.0", "stages": stages})


def trace(project: Project, *args: str) -> list[Any]:
    return list(json.loads(project.trunkline("trace", *args, "--json").stdout))


def audit(project: Project, *args: str) -> list[Any]:
    return list(json.loads(project.trunkline("audit", *args, "--json").stdout))


def missing(chain: Any) -> dict[str, str]:
    return {link["name"]: link["words"] for link in chain["links"] if link["value"] is None}


@pytest.fixture
def past() -> Past:
    past = Past()
    past.commit("A repository", PARAMS)
    return past


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "project"


def rolled_out(past: Past) -> tuple[Version, Version]:
    one = rollout(past, "churn", 1, None)
    rollout(past, "fraud", 1, None)
    return one, rollout(past, "churn", 2, one)


def test_every_name_of_a_version_leads_to_the_same_chain(past: Past, where: Path) -> None:
    _, two = rolled_out(past)
    commits = past.write(where)
    project, lineage = Project(where), two.lineage
    named = trace(project, "churn/2")
    assert [(chain["model"], chain["version"], chain["image"]) for chain in named] == [("churn", "2", two.image)]
    for ref in (
        two.image,
        two.digest,
        two.digest[:19],  # as an audit shows it
        two.digest.removeprefix("sha256:")[:12],
        lineage.environment_hash[:8],
        lineage.code_hash,
        lineage.model_hash[:12],  # what a prediction's answer carries
        lineage.lock_hash,
        lineage.data_hash,
        lineage.commit,
        commits[5],  # staging's manifest commit, which has this version alone
    ):
        assert trace(project, ref) == named, ref


def test_a_chain_tells_each_step_of_the_traffic(past: Past, where: Path) -> None:
    rolled_out(past)
    commits = past.write(where)
    (chain,) = trace(Project(where), "churn/1")
    told = [(step["environment"], step["arm"], step["weight"], step["commit"]) for step in chain["steps"]]
    assert told == [
        ("staging", "stable", 100, commits[1]),
        ("production", "stable", 100, commits[2]),
        ("staging", None, 0, commits[5]),
        ("production", "stable", 95, commits[6]),
        ("production", None, 0, commits[7]),
    ]


def test_a_manifest_commit_is_about_all_the_versions_it_has(past: Past, where: Path) -> None:
    rolled_out(past)
    commits = past.write(where)
    assert sorted(chain["version"] for chain in trace(Project(where), commits[6])) == ["1", "2"]


def test_a_commit_that_broke_or_removed_a_release_is_told_as_that(past: Past, where: Path) -> None:
    made = release("churn", "production", stable=version("churn", 1))
    past.release(made)
    path = path_of("churn", "production")
    past.commit("Just this once", {path: dump(made).replace("stable: 100", "stable: 99")})
    past.write(where)
    project = Project(where)
    (edited,) = trace(project, "HEAD")
    assert missing(edited) == {"release.yaml": f"{path} was edited by hand in this commit"}
    project.git("rm", "-q", path)
    project.commit("Gone")
    (removed,) = trace(project, "HEAD")
    assert missing(removed) == {"release.yaml": f"{path} was removed in this commit"}


def test_one_version_in_two_images_is_two_chains(past: Past, where: Path) -> None:
    one = version("churn", 1)
    other = one.model_copy(update={"image": one.image.replace(one.digest, "sha256:" + "0" * 64)})
    past.release(release("churn", "staging", stable=one))
    past.release(release("churn", "production", stable=other))
    past.write(where)
    found = trace(Project(where), "churn/1")
    assert [(chain["image"], [step["environment"] for step in chain["steps"]]) for chain in found] == [
        (one.image, ["staging"]),
        (other.image, ["production"]),
    ]


def test_missing_links_are_said(past: Past, where: Path) -> None:
    past.release(release("churn", "production", stable=version("churn", 1)))
    past.release(release("churn", "staging", stable=version("churn", 2)))
    past.write(where)
    (chain,) = trace(Project(where), "churn/2")
    assert missing(chain)["production"] == "never released there"
    assert "nothing in git says who agreed" in missing(chain)["approval in staging"]
    assert "is not in this clone" in Project(where).trunkline("trace", "churn/2").stdout


def test_who_agreed_comes_from_a_note_or_from_trailers(past: Past, where: Path) -> None:
    one = version("churn", 1)
    past.release(release("churn", "staging", stable=one))
    past.release(release("churn", "production", stable=one), "Release\n\nReviewed-by: Bo <bo@example.com>\n")
    commits = past.write(where)
    agreed = Approval(pull=7, url="https://example.com/7", merged_by="ada", approved_by=("cy",))
    note(where, commits[1], agreed)
    (chain,) = trace(Project(where), "churn/1")
    assert [step["approval"]["approved_by"] for step in chain["steps"]] == [["cy"], ["Bo <bo@example.com>"]]
    assert chain["steps"][0]["approval"] == agreed.model_dump(mode="json")
    assert "agreed by cy" in Project(where).trunkline("trace", "churn/1").stdout
    assert missing(chain) == {}


def test_a_commit_leads_to_the_first_release_that_contains_it(past: Past, where: Path, tmp_path: Path) -> None:
    past.commit("Another feature", {"ml/models/churn/features.py": "# more\n"})
    past.commit("Trained", {"dvc.lock": lock(churn="a")})
    first = Past([*past.stream], past.count)
    commits = first.write(tmp_path / "first")
    past.release(release("churn", "staging", stable=version("churn", 1, commits[-1])))
    past.release(release("churn", "staging", stable=version("churn", 2, commits[-1])))
    assert past.write(where)[:3] == commits
    project = Project(where)
    assert [chain["version"] for chain in trace(project, commits[1])] == ["1"]
    assert "Another feature" not in project.trunkline("trace", commits[1]).stdout


def test_a_commit_that_nothing_was_made_of_yet_says_so(past: Past, where: Path) -> None:
    past.commit("Another feature", {"ml/models/churn/features.py": "# more\n"})
    past.commit("Trained", {"dvc.lock": lock(churn="a")})
    past.commit("A feature after that", {"ml/models/churn/features.py": "# still more\n"})
    past.commit("Words", {"README.md": "words\n"})
    commits = past.write(where)
    project = Project(where)
    (pinned,) = trace(project, commits[1])
    assert pinned["lineage"]["commit"] == commits[2]
    assert missing(pinned) == {"image": "not released: no release.yaml names it"}
    assert trace(project, pinned["lineage"]["lock_hash"]) == [pinned]
    (untrained,) = trace(project, commits[3])
    assert missing(untrained) == {"model": "no full training up to HEAD contains this commit"}
    assert "touches no model" in project.trunkline("trace", commits[4], code=1).stderr


@pytest.mark.parametrize("ref", ["churn/9", "sha256:" + "0" * 64, "0123456789abcdef", "--all", "", "HEAD~99", "a b"])
def test_what_is_nowhere_is_told_in_one_sentence(past: Past, where: Path, ref: str) -> None:
    rolled_out(past)
    past.write(where)
    done = Project(where).trunkline("trace", "--", ref, code=1)
    assert done.stderr.startswith("trunkline: nothing here is called")
    assert len(done.stderr.splitlines()) == 1


def test_a_shallow_clone_is_not_asked(past: Past, where: Path, tmp_path: Path) -> None:
    rolled_out(past)
    past.write(where)
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{where}", str(tmp_path / "shallow")], check=True)
    for words in (("trace", "churn/1"), ("audit", "churn")):
        done = Project(tmp_path / "shallow").trunkline(*words, code=1)
        assert "git fetch --unshallow" in done.stderr


def test_an_audit_has_what_ran_when_and_who_agreed(past: Past, where: Path) -> None:
    one, two = rolled_out(past)
    commits = past.write(where)
    note(where, commits[7], Approval(pull=3, url=None, merged_by="ada", approved_by=("bo", "cy")))
    spans = audit(Project(where), "churn")
    assert [(span["commit"], span["weight"]) for span in spans] == [(commits[2], 0), (commits[6], 5), (commits[7], 0)]
    assert [span["stable"]["image"] for span in spans] == [one.image, one.image, two.image]
    assert [span["until"] for span in spans] == [spans[1]["since"], spans[2]["since"], None]
    assert spans[2]["approval"]["approved_by"] == ["bo", "cy"]
    table = Project(where).trunkline("audit", "churn").stdout
    assert "bo, cy" in table
    assert "not known" in table
    assert [span["commit"] for span in audit(Project(where), "churn", "--environment", "staging")] == [
        commits[1],
        commits[5],
    ]


def test_an_audit_names_the_evidence_and_the_waivers_of_that_day(past: Past, where: Path, tmp_path: Path) -> None:
    made = Past([*past.stream], past.count).write(tmp_path / "first")
    text = dump(release("churn", "production", stable=version("churn", 1, made[0])))
    card = path_of("churn", "production").replace("release.yaml", "card.md")
    past.commit("Release", {path_of("churn", "production"): text, card: "# A card\n"})
    commits = past.write(where)
    (span,) = audit(Project(where), "churn")
    assert Project(where).run(*span["evidence"].split()).stdout == "# A card\n"
    assert span["evidence"].split()[2].startswith(commits[-1])
    (waiver,) = span["waivers"]
    assert (waiver["gate"], waiver["who"], waiver["expired"]) == ("roc_auc.min", "Ada", True)


def test_an_edit_by_hand_and_a_removal_stay_in_the_audit(past: Past, where: Path) -> None:
    made = release("churn", "production", stable=version("churn", 1))
    past.release(made)
    past.commit("Just this once", {path_of("churn", "production"): dump(made).replace("stable: 100", "stable: 99")})
    past.write(where)
    project = Project(where)
    project.git("rm", "-q", path_of("churn", "production"))
    project.commit("Gone")
    spans = audit(project, "churn")
    assert [span["readable"] for span in spans] == [True, False, False]
    assert "edited by hand" in project.trunkline("audit", "churn").stdout


def test_the_past_of_a_model_that_is_gone_can_be_audited(past: Past, where: Path) -> None:
    rollout(past, "gone", 1, None)
    past.write(where)
    assert len(audit(Project(where), "gone")) == 1
    assert "never released to production" in Project(where).trunkline("audit", "churn").stdout
    assert "did you mean 'churn'?" in Project(where).trunkline("audit", "chrun", code=1).stderr
    assert "known are" in Project(where).trunkline("audit", "churn", "--environment", "prod", code=1).stderr


def test_a_merge_is_one_change_of_the_main_line(past: Past, where: Path) -> None:
    one, two = version("churn", 1), version("churn", 2)
    past.release(release("churn", "production", stable=one))
    past.write(where)
    project = Project(where)
    project.git("switch", "-qc", "release/churn/production")
    path = where / path_of("churn", "production")
    path.write_text(dump(release("churn", "production", stable=one, canary=two, weight=5)))
    on_branch = project.commit("Release churn 2")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--no-ff", "-m", "Merge it", "release/churn/production")
    merged = project.git("rev-parse", "HEAD")
    (chain,) = trace(project, "churn/2")
    assert [step["commit"] for step in chain["steps"]] == [merged]
    assert [span["commit"] for span in audit(project, "churn")][-1] == merged
    assert on_branch != merged


@pytest.mark.parametrize("odd", ["\x1e", "\x1f", "\u2028", "\r", "\x0b", "\u0085", "\udc80"])
def test_whatever_a_commit_says_its_history_can_be_read(past: Past, where: Path, odd: str) -> None:
    one = version("churn", 1)
    strange = odd.encode("utf-8", "surrogateescape").decode("latin-1") if odd == "\udc80" else odd
    past.release(release("churn", "production", stable=one), f"Release{strange} neat\n\nReviewed-by: Bo\n")
    past.commit("Odd", {path_of("fraud", "production"): f"a: {strange}\r\n"})
    past.release(release("churn", "production", stable=version("churn", 2)))
    commits = past.write(where)
    as_bot = [
        "git",
        "-c",
        "user.name=bot",
        "-c",
        "user.email=bot@example.com",
        "notes",
        "--ref=trunkline",
        "add",
        "-F-",
    ]
    for commit in commits[1:]:
        said = f"{odd}{{".encode("utf-8", "surrogateescape")
        subprocess.run([*as_bot, commit], cwd=where, input=said, check=True)
    project = Project(where)
    assert [span["commit"] for span in audit(project, "churn")] == [commits[1], commits[3]]
    assert [span["readable"] for span in audit(project, "fraud")] == [False]
    assert trace(project, "churn/1")[0]["steps"][0]["approval"]["approved_by"] == ["Bo"]
    project.trunkline("trace", "churn/2")
