"""Hooks of the site's build: a folder for commands on pages, and the public names of modules."""

import ast
import importlib
import importlib.util
import inspect
import os
import re
import shutil
from pathlib import Path
from typing import Any

# Commands on pages run here (`workdir=".site/work"`), so that they leave no files elsewhere.
WORK = Path(".site/work")
# Where a function of JAX is public, and the page of its documentation.
JAX_MODULES = ("jax.numpy", "jax.nn", "jax.nn.initializers")
JAX_PAGE = "https://docs.jax.dev/en/latest/_autosummary/{}.html"


# Blocks of several pages compile the same programs (a LeNet on digits, 2 rates, 3 seeds, 3 epochs).
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(".site/compiled").resolve()),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def on_startup(**_: Any) -> None:
    """Keep what the pages' code compiles, in this process and in the commands that it starts."""
    for name, value in CACHE.items():
        os.environ.setdefault(name, value)


def on_pre_build(config: Any) -> None:
    """Start every build with an empty work folder that holds only the scripts of the Learn pages.

    Their figures are written next to these copies; the pages show those of the repository.
    """
    shutil.rmtree(WORK, ignore_errors=True)
    scripts = WORK / "docs" / "learn"
    scripts.mkdir(parents=True)
    for script in Path("docs/learn").glob("*.py"):
        shutil.copy(script, scripts)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each line `[names MODULE]` by the documentation of the module's public names."""

    def documentation(match: re.Match[str]) -> str:
        module = match[1]
        return "\n\n".join(_entry(module, name) for name in public_names(module))

    return re.sub(r"^\[names ([\w.]+)\]$", documentation, markdown, flags=re.MULTILINE)


def public_names(module: str) -> list[str]:
    """List what a module re-exports (`import X as X`), defines and assigns, sorted."""
    names = []
    for node in _body(module):
        match node:
            case ast.ImportFrom() if node.module != module:  # its submodules have their own pages
                names += [alias.name for alias in node.names if alias.asname == alias.name]
            case ast.FunctionDef() | ast.ClassDef():
                names.append(node.name)
            case ast.Assign() | ast.AnnAssign():
                names += _assigned(node)
    return sorted({name for name in names if not name.startswith("_")}, key=str.lower)


def _body(module: str) -> list[ast.stmt]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _entry(module: str, name: str) -> str:
    """Return the Markdown for one name; mkdocstrings documents what jcnn itself defines."""
    value = getattr(importlib.import_module(module), name)
    source = _jax_name(name, value)
    if source:
        text = f"The same as [`{source}`]({JAX_PAGE.format(source)}) in JAX. {_summary(value)}"
    elif original := _original(module, name, value):
        text = f"Another name for `{module}.{original}`."
    else:
        return f"::: {_place(module, name)}"
    return f"### `{module}.{name}` {{ #{module}.{name} }}\n\n{text}"


def _jax_name(name: str, value: Any) -> str | None:
    """Return the public name of a function of JAX, preferably the same one; None for others."""
    if not callable(value) or not (getattr(value, "__module__", None) or "").startswith("jax."):
        return None
    for module in JAX_MODULES:
        members = vars(importlib.import_module(module))
        for member in (name, *members):
            if not member.startswith("_") and members.get(member) is value:
                return f"{module}.{member}"
    return None


def _original(module: str, name: str, value: Any) -> str | None:
    """Return the name under which the module first assigns this function, if it is another one."""
    holder = importlib.import_module(module)
    names = [
        other
        for node in _body(module)
        if isinstance(node, ast.Assign) and callable(value)
        for other in _assigned(node)
        if getattr(holder, other) is value
    ]
    return names[0] if name in names[1:] else None


def _summary(value: Any) -> str:
    """Return the first sentence of a docstring."""
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _place(module: str, name: str) -> str:
    """Return the path of a name for mkdocstrings, which prefers a submodule of the same name."""
    spec = importlib.util.find_spec(module)
    folders = (spec.submodule_search_locations if spec else None) or []
    shadowed = any((Path(folder) / f"{name}.py").exists() for folder in folders)
    return f"{module}.{name}.{name}" if shadowed else f"{module}.{name}"
