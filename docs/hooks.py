"""What the site's build needs beside Markdown: a folder for commands, and modules' public names."""

import ast
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

# Commands of pages run here, with `workdir=".site/work"`, so that they leave nothing elsewhere.
WORK = Path(".site/work")


def on_pre_build(config: Any) -> None:
    """Begin every build with an empty folder, but for the scripts of the pages on learning.

    What they draw lands beside the copies: the figures shown are those in the repository.
    """
    shutil.rmtree(WORK, ignore_errors=True)
    scripts = WORK / "docs" / "learn"
    scripts.mkdir(parents=True)
    for script in Path("docs/learn").glob("*.py"):
        shutil.copy(script, scripts)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the documentation of each public name of a module where `[names MODULE]` stands."""

    def documented(found: re.Match[str]) -> str:
        module = found[1]
        return "\n\n".join(f"::: {_place(module, name)}" for name in public_names(module))

    return re.sub(r"^\[names ([\w.]+)\]$", documented, markdown, flags=re.MULTILINE)


def _place(module: str, name: str) -> str:
    """Where a name is documented: a module of the same name would be taken for it."""
    spec = importlib.util.find_spec(module)
    folders = (spec.submodule_search_locations if spec else None) or []
    shadowed = any((Path(folder) / f"{name}.py").exists() for folder in folders)
    return f"{module}.{name}.{name}" if shadowed else f"{module}.{name}"


def public_names(module: str) -> list[str]:
    """What a module hands on (`import X as X`), and the functions and classes it defines."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module}")
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    handed_on = [
        alias.name
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module != module  # whose modules have pages
        for alias in node.names
        if alias.asname == alias.name
    ]
    defined = [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    return sorted([*handed_on, *defined], key=str.lower)
