"""Releases from the command line.

    python -m pinrank publish  --registry runs/registry --student runs/demo/student --pin_store runs/demo/pin_store
    python -m pinrank promote  --registry runs/registry --version NAME@HASH --reason "not worse on dev"
    python -m pinrank rollback --registry runs/registry --reason "clicks fell"
    python -m pinrank canary   --registry runs/registry --version NAME@HASH --share 0.05     # without --version: end it
    python -m pinrank shadow   --registry runs/registry --version NAME@HASH --share 0.1
    python -m pinrank status   --registry runs/registry

Prints one line of JSON. promote, rollback, canary and shadow read every file of the bundle first, and refuse one that
is damaged. A service that follows the registry (serve_apps/rerank/app.yaml) takes the change over within seconds.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pinrank import registry as bundles
from pinrank import release, traffic
from pinrank.errors import PinrankError


def main(given: Sequence[str]) -> int:
    """Run a command; 0, or 2 with the error on stderr."""
    asked = parser().parse_args(given)
    try:
        print(json.dumps(COMMANDS[asked.command](asked)))
    except PinrankError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def publish(asked: argparse.Namespace) -> dict[str, Any]:
    """Add a student and its pin store as one release; with --promote make it current."""
    bundle = release.publish(asked.registry, asked.student, asked.pin_store)
    if asked.promote:
        bundles.promote(asked.registry, bundle.version, asked.reason)
    return {"version": bundle.version, "current": asked.promote}


def promote(asked: argparse.Namespace) -> dict[str, Any]:
    """Make a release current."""
    return bundles.promote(asked.registry, asked.version, asked.reason).model_dump(mode="json")


def rollback(asked: argparse.Namespace) -> dict[str, Any]:
    """Make the release current again that was so before."""
    return bundles.rollback(asked.registry, asked.reason).model_dump(mode="json")


def canary(asked: argparse.Namespace) -> dict[str, Any]:
    """Let a release answer a share of queries, or end that."""
    return traffic.set_canary(asked.registry, share_of(asked)).model_dump(mode="json")


def shadow(asked: argparse.Namespace) -> dict[str, Any]:
    """Let a release grade a share of queries along, or end that."""
    return traffic.set_shadow(asked.registry, share_of(asked)).model_dump(mode="json")


def status(asked: argparse.Namespace) -> dict[str, Any]:
    """What is current, and who else has a share."""
    current = bundles.current(asked.registry)
    return {
        "current": None if current is None else current.bundle,
        **traffic.read_traffic(asked.registry).model_dump(mode="json"),
    }


COMMANDS = {each.__name__: each for each in (publish, promote, rollback, canary, shadow, status)}


def share_of(asked: argparse.Namespace) -> traffic.Share | None:
    """The share that a command line gives; None without a version."""
    return None if asked.version is None else traffic.Share(version=asked.version, share=asked.share)


def parser() -> argparse.ArgumentParser:
    """The commands with their arguments."""
    whole = argparse.ArgumentParser(prog="pinrank", description="Releases: a student and its pin store.")
    commands = whole.add_subparsers(dest="command", required=True)
    of = {name: commands.add_parser(name, help=command.__doc__) for name, command in COMMANDS.items()}
    for each in of.values():
        each.add_argument("--registry", type=Path, required=True, help="folder of the registry")
    for name in ("student", "pin_store"):
        of["publish"].add_argument(f"--{name}", type=Path, required=True, help="folder to publish")
    of["publish"].add_argument("--promote", action="store_true", help="make it current at once")
    of["promote"].add_argument("--version", required=True, help="NAME@HASH of the release")
    for name in ("publish", "promote", "rollback"):
        of[name].add_argument("--reason", default="by hand", help="for the registry's history")
    for name in ("canary", "shadow"):
        of[name].add_argument("--version", help="NAME@HASH of the release; without it nobody has the share")
        of[name].add_argument("--share", type=share, default=0.05, help="of queries, 0..1")
    return whole


def share(said: str) -> float:
    """A number in 0..1. Raises ValueError, which argparse tells, for another."""
    if not 0.0 <= float(said) <= 1.0:
        raise ValueError(said)
    return float(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
