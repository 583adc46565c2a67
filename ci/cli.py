"""The command line: finds the command, runs it, and turns failures into one sentence and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from ci.core.annotations import annotation
from ci.core.errors import TrunklineError
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "check": "validate, train in smoke mode, judge and report",
    "plan": "say which models this change touches, and why",
    "data": "fetch the pinned data, or remake it where nothing can be fetched",
    "gate": "judge a model from what its stages wrote",
    "report": "write the reports of verdicts that are there already",
    "verdict": "sum up the verdicts of all planned models",
    "comment": "post the reports on the pull request, one comment per model",
    "train": "train a model in full, judge it against the champion, and register it",
    "publish": "bring what full training wrote to dvc.lock into the pull request",
    "experiments": "record the DVC experiments of a model in MLflow, best first",
    "reproduce": "train a registered version again from its lineage and compare",
    "image": "build the image that serves a model, from the bytes that were judged",
    "render": "build the Kubernetes manifests and hold each object to its schema",
    "preview": "run an environment's manifests on this machine, behind Traefik, and follow their changes",
    "release": "package what was merged and propose it to each environment",
    "rollout": "step, promote or roll back what is being rolled out, by commits with the evidence",
    "drift": "hold the newest window of data, predictions and service to what a model was trained on",
    "retrain": "propose to train a model again where its drift calls for that",
    "alert": "tell people what is in alarm, once on each channel, and when it is over",
    "rollback": "go back to an earlier release by hand, without a build",
    "status": "say what each environment runs, what is being rolled out, and what waits",
    "analyze": "say what a rollout has shown so far, and what is to be done about it",
    "trace": "follow a commit, version, hash, digest or manifest to all it is linked with",
    "explain": "say which model answered a request, what it was made of, and what each feature did",
    "audit": "say what was in production when, who agreed, and on what evidence",
    "doctor": "look at what the line needs and say what is missing",
}


class Parser(argparse.ArgumentParser):
    """argparse, with the exit code that this project gives to wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Print usage and one sentence, and exit with 1."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def parser(chosen: str | None) -> argparse.ArgumentParser:
    """The whole command line; only the command that was chosen is imported, and adds its arguments."""
    top = Parser(
        prog="trunkline",
        description="GitOps CI/CD for machine learning, kept in the repository of the models it ships.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        if name == chosen:
            import_module(f"ci.commands.{name}").register(command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 pass, 1 usage, 2 environment, 3 refused, 4 inconclusive."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser(next((word for word in words if not word.startswith("-")), None)).parse_args(words)
    try:
        code: int = arguments.run(arguments)
    except TrunklineError as failure:
        print(f"trunkline: {quiet(failure.message)}", file=sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            print(annotation(failure.message, failure.file, failure.line))
        return failure.exit_code
    except BrokenPipeError:  # `trunkline plan | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("trunkline: stopped; run the same command again to go on.", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
