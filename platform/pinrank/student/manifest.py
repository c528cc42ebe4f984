"""manifest.json of a student's bundle: its version, where it comes from, and a checksum of every file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.errors import ModelError
from pinrank.listed_files import ListedFile, deviations, listed
from pinrank.parquet import one_line

MANIFEST = "manifest.json"

NOT_OF_THE_BUNDLE = (MANIFEST, "bundle.json", "quarantine")
"""What lies beside a bundle's files: this list, the registry's, and the rows that training could not use."""

_MEND = "Copy the whole folder again, or train the student again."


class StudentManifest(BaseModel):
    """What manifest.json says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    version: str = Field(description="NAME@HASH, as the card has it")
    lineage: dict[str, Any] = Field(description="teacher, label runs, sample, guideline, judgments, code, settings")
    files: tuple[ListedFile, ...]


def write_manifest(folder: Path, version: str, lineage: Mapping[str, Any]) -> StudentManifest:
    """List a finished bundle's files; the last file to be written."""
    manifest = StudentManifest(version=version, lineage=dict(lineage), files=listed(folder, NOT_OF_THE_BUNDLE))
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest


def verify(folder: Path, thorough: bool = True) -> StudentManifest:
    """Hold a bundle against its manifest. Not `thorough`: names, sizes, and the content of all but the largest files.

    Raises ModelError that names the first files that are missing, altered, not listed, or links, or when the manifest
    itself is missing, damaged or names a path outside the folder.
    """
    manifest = read_manifest(folder)
    if wrong := deviations(folder, manifest.files, NOT_OF_THE_BUNDLE, thorough):
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(f"{folder}: not as it was published: {', '.join(wrong[:3])}{more}. {_MEND}")
    return manifest


def read_manifest(folder: Path) -> StudentManifest:
    """The manifest of a bundle; ModelError when it is missing or damaged."""
    path = folder / MANIFEST
    try:
        return StudentManifest.model_validate_json(path.read_bytes())
    except OSError as cause:
        raise ModelError(f"{folder}: holds no {MANIFEST}, so this is no student's bundle. {_MEND}") from cause
    except ValidationError as cause:
        raise ModelError(f"{path}: damaged: {one_line(cause)}. {_MEND}") from cause
