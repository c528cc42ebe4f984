"""Commands about a registry: its bundles, which of them answers, and who has a share beside it.

A service that follows the registry takes a change over within seconds.
"""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from pinrank import registry
from pinrank.cli.shown import show
from pinrank.errors import ModelError, SettingsError
from pinrank.registry import Change
from pinrank.traffic import Share, Traffic, read_traffic, set_canary, set_shadow

BY_HAND = "by hand"


def versions(context: typer.Context, incomplete: str) -> list[str]:
    """The bundles of the registry that was named before, for the shell."""
    folder = context.params.get("folder")
    try:
        held = registry.bundles(Path(folder)) if folder else []
    except ModelError:
        return []
    return [bundle.version for bundle in held if bundle.version.startswith(incomplete)]


Folder = Annotated[
    Path, typer.Argument(metavar="REGISTRY", help="Folder of bundles, as publish or the daily loop fills it.")
]
Version = Annotated[
    str, typer.Argument(metavar="NAME@HASH", help="A bundle; pinrank bundles lists them.", autocompletion=versions)
]
Reason = Annotated[str, typer.Option(help="Why, for the registry's history.")]
OfQueries = Annotated[float, typer.Option("--share", min=0.0, max=1.0, help="Of queries, by their hash.")]
End = Annotated[bool, typer.Option("--end", help="Nobody has the share from now on.")]
AsJson = Annotated[bool, typer.Option("--json", help="Say it as one line of JSON.")]


def publish(
    folder: Folder,
    student: Annotated[Path, typer.Option(help="Folder of the student, from train_student.")],
    pin_store: Annotated[Path, typer.Option("--pin_store", help="Folder of the pin store, from embed_pins.")],
    promote_it: Annotated[bool, typer.Option("--promote", help="Make it current at once.")] = False,
    reason: Reason = BY_HAND,
    as_json: AsJson = False,
) -> None:
    """Add a student and its pin store to a registry, as one release.

    Example: pinrank publish runs/registry --student runs/demo/student --pin_store runs/demo/pin_store --promote
    """
    from pinrank import release  # brings numba, which none of the others needs

    version = release.publish(folder, student, pin_store).version
    if promote_it:
        registry.promote(folder, version, reason)
    say(as_json, Published(version=version, current=promote_it), version)


def promote(folder: Folder, version: Version, reason: Reason = BY_HAND, as_json: AsJson = False) -> None:
    """Make a bundle the current one, after every file of it was read.

    Example: pinrank promote runs/registry NAME@HASH --reason "not worse on dev"
    """
    change = registry.promote(folder, version, reason)
    say(as_json, change, f"{change.bundle} is current since {change.at:%Y-%m-%d %H:%M:%S}: {change.reason}")


def rollback(folder: Folder, reason: Reason = BY_HAND, as_json: AsJson = False) -> None:
    """Go back to the bundle that was current before; again: to the one before that.

    Example: pinrank rollback runs/registry --reason "clicks fell"
    """
    change = registry.rollback(folder, reason)
    say(as_json, change, f"{change.bundle} is current again; {change.before} no longer: {change.reason}")


def canary(
    folder: Folder, version: Version = "", share: OfQueries = 0.05, end: End = False, as_json: AsJson = False
) -> None:
    """Let a release answer a share of queries, after every file of it was read; --end ends that.

    Example: pinrank canary runs/registry NAME@HASH --share 0.05
    """
    tell(as_json, folder, set_canary(folder, asked(version, share, end)))


def shadow(
    folder: Folder, version: Version = "", share: OfQueries = 0.05, end: End = False, as_json: AsJson = False
) -> None:
    """Let a release grade a share of queries along, unseen, after every file of it was read; --end ends that.

    Example: pinrank shadow runs/registry NAME@HASH --share 0.1
    """
    tell(as_json, folder, set_shadow(folder, asked(version, share, end)))


def traffic(folder: Folder, as_json: AsJson = False) -> None:
    """Which release answers, and who has a share of the queries beside it.

    Example: pinrank traffic runs/registry --json
    """
    tell(as_json, folder, read_traffic(folder))


def bundles(folder: Folder) -> None:
    """Every bundle of a registry with its lineage, which is current, and every change there was.

    Example: pinrank bundles runs/mine/registry
    """
    now = registry.current(folder)
    rows = [
        {
            "": "current" if now and now.bundle == bundle.version else "",
            "bundle": bundle.version,
            "added": f"{bundle.added_at:%Y-%m-%d %H:%M:%S}",
            "lineage": ", ".join(f"{name} {value}" for name, value in bundle.lineage.items()),
        }
        for bundle in registry.bundles(folder)
    ]
    show("bundles", rows)
    show("changes", (change.model_dump(mode="json") for change in registry.history(folder)))


class Published(BaseModel):
    """A release that was added."""

    version: str
    current: bool


class Answering(BaseModel):
    """Who answers, and who has a share."""

    current: str | None
    canary: Share | None
    shadow: Share | None


def asked(version: str, share: float, end: bool) -> Share | None:
    """The share that a command line gives, None to end it. Raises SettingsError unless it is one of the two."""
    if bool(version) == end:
        raise SettingsError("give the NAME@HASH of a bundle, or --end: one of the two.")
    return Share(version=version, share=share) if version else None


def tell(as_json: bool, folder: Path, shares: Traffic) -> None:
    """Say what is current beside the shares."""
    now: Change | None = registry.current(folder)
    answering = Answering(current=now and now.bundle, canary=shares.canary, shadow=shares.shadow)
    lines = [f"current  {answering.current or 'none'}"]
    for role, given in (("canary", shares.canary), ("shadow", shares.shadow)):
        lines.append(f"{role}   {f'{given.version}, {given.share:.3g} of queries' if given else 'none'}")
    say(as_json, answering, "\n".join(lines))


def say(as_json: bool, said: BaseModel, sentence: str) -> None:
    """A sentence, or the same for a program."""
    print(said.model_dump_json() if as_json else sentence)
