"""Pages that mkdocs makes when it builds: every setting, and the library's reference by its docstrings."""

import importlib
import pkgutil
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import pipelines  # noqa: E402
from pinrank.pipeline import JobSettings  # noqa: E402
from pinrank.settings_list import as_markdown  # noqa: E402
from serve_apps.rerank.settings import RerankSettings  # noqa: E402

SETTINGS, REFERENCE = "settings.md", "reference"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages of the reference in the navigation."""
    pages = [{group: f"{REFERENCE}/{group}.md"} for group in modules()]
    config.nav = [{"Reference": pages} if entry == {"Reference": "reference/"} else entry for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages."""
    made = {SETTINGS: settings_page()}
    made |= {f"{REFERENCE}/{group}.md": reference_page(group, found) for group, found in modules().items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def jobs() -> dict[str, type[JobSettings]]:
    """The settings of every pipeline by its name."""
    found = {}
    for each in pkgutil.iter_modules(pipelines.__path__):
        module = importlib.import_module(f"pipelines.{each.name}")
        for value in vars(module).values():
            is_settings = isinstance(value, type) and issubclass(value, JobSettings)
            if is_settings and value.__module__ == module.__name__:
                found[each.name] = value
    return found


def settings_page() -> str:
    """All settings of the pipelines and of the service."""
    parts = [
        "# Settings",
        "A pipeline's settings are its YAML file and its command line: `text.max_tokens` is `text:` with `max_tokens:` "
        "in it, or `--text.max_tokens 128`. What they mean together is on the page of their job.",
    ]
    for name, settings in jobs().items():
        parts += [f"## {name}", first_line(importlib.import_module(f"pipelines.{name}").__doc__), as_markdown(settings)]
    parts += [
        "## The service",
        "`args:` of `serve_apps/rerank/app.yaml`, as [Serve](serve.md) explains.",
        as_markdown(RerankSettings),
    ]
    return "\n\n".join(parts)


def reference_page(group: str, found: dict[str, str]) -> str:
    """The modules of a package with what their docstrings say."""
    parts = [f"# {group}"]
    for name, doc in found.items():
        parts += [f"## {name}", first_line(doc), f"::: {name}"]
    return "\n\n".join(parts)


def modules() -> dict[str, dict[str, str]]:
    """The library's modules and their docstrings by package, without importing them; the command line has a page."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((ROOT / "platform/pinrank").rglob("*.py")):
        parts = path.relative_to(ROOT / "platform").with_suffix("").parts
        if parts[-1] == "__main__" or "cli" in parts:
            continue
        group = parts[1] if len(parts) > 2 else "pinrank"
        name = ".".join(parts).removesuffix(".__init__")
        found.setdefault(group, {})[name] = path.read_text().lstrip('"').split('"""')[0]
    return found


def first_line(doc: str | None) -> str:
    """The first sentence or line of a docstring."""
    return (doc or "").strip().split("\n")[0]
