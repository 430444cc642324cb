"""The house: imports point down, `import jcnn` is light, doctests and README snippets run."""

import ast
import doctest
import graphlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import jcnn

ROOT = Path(__file__).resolve().parent.parent
FLOORS = [
    {
        "arguments",
        "errors",
        "interruption",
        "jaxprs",
        "public",
        "quadrature",
        "strict_json",
        "varying_axes",
    },
    {"activations", "convolution", "pooling", "dense", "normalization", "losses", "initializers"},
    {"acceleration", "layers", "names", "theory"},
    {"adapters", "models", "data"},
    {"training"},
    {"tracing", "export"},
    {"engine", "diagnosis"},
    {"analysis"},
    {"study"},
    {"report"},
    {"explore"},
    {"bench"},
    {"cli"},
]
FLAX_FROM = 2
OPTAX_FROM = 4


MODULES_BY_NAME = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "jcnn").rglob("*.py")
}


def imported(path):
    """Names of modules that a file imports anywhere, also for types and by `import_module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in inside if name in MODULES_BY_NAME]
            yield from submodules
            if len(submodules) < len(inside):
                yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            argument = node.args[0]
            # Other arguments are names that users gave, looked up when they are needed.
            if isinstance(argument, ast.Constant):
                yield argument.value


def floor_of(package):
    return next((level for level, floor in enumerate(FLOORS) if package in floor), None)


@pytest.mark.parametrize("path", sorted((ROOT / "jcnn").rglob("*.py")), ids=lambda p: p.stem)
def test_imports_never_point_up(path):
    package = path.relative_to(ROOT / "jcnn").parts[0].removesuffix(".py")
    level = floor_of(package)
    if level is None:
        assert package in ("__init__", "__main__", "pytest_plugin", "testing", "version"), (
            f"{package} has no floor"
        )
        return
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "jcnn" and len(parts) > 1 and floor_of(parts[1]) is not None:
            assert floor_of(parts[1]) <= level, f"{path} imports {module} from above"
        assert parts[0] != "flax" or level >= FLAX_FROM, f"{path} imports flax"
        assert parts[0] != "optax" or level >= OPTAX_FROM, f"{path} imports optax"


def test_no_module_imports_itself_through_others():
    graph = {
        name: {other for other in imported(path) if other in MODULES_BY_NAME and other != "jcnn"}
        for name, path in MODULES_BY_NAME.items()
        if name != "jcnn"
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(reversed(error.args[1]))}")


def test_help_and_import_need_no_jax():
    code = (
        "import sys, jcnn, jcnn.cli\n"
        "try: jcnn.cli.main(['compare', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--kernel-init" in done.stdout


def test_shortcuts_are_the_same_objects():
    for name, submodule in jcnn._SHORTCUTS.items():
        assert getattr(jcnn, name) is getattr(getattr(jcnn, submodule), name)
        assert name in dir(jcnn)
    with pytest.raises(AttributeError, match="no attribute 'diagnosed'"):
        _ = jcnn.diagnosed


# Modules that are public themselves, and not only places of what their package hands on.
PUBLIC_MODULES = {
    "data": {"augmentation"},
    "study": {"storage"},
    "training": {"metrics", "optimizers", "schedules"},
}


@pytest.mark.parametrize("package", jcnn._SUBMODULES)
def test_a_package_lists_its_public_names_only(package):
    module = importlib.import_module(f"jcnn.{package}")
    if not hasattr(module, "__path__"):
        return
    handed_on = set()
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.ImportFrom):
            handed_on |= {alias.asname for alias in node.names if alias.asname == alias.name}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            handed_on |= {n.id for target in targets for n in ast.walk(target)
                          if isinstance(n, ast.Name)}  # fmt: skip
    # The suite's type checker adds jaxtyping to every module.
    listed = {name for name in dir(module) if not name.startswith("_")} - {"jaxtyping"}
    modules = {name for name in listed if isinstance(getattr(module, name), types.ModuleType)}
    assert modules == PUBLIC_MODULES.get(package, set())
    assert listed - modules <= handed_on


# Their examples train or compile whole networks, so CI alone runs them.
LONG_EXAMPLES = {
    "jcnn.diagnosis.examination",
    "jcnn.diagnosis.layerwise",
    "jcnn.diagnosis.learning_rate_search",
    "jcnn.diagnosis.lsuv",
    "jcnn.diagnosis.mean_field",
    "jcnn.diagnosis.mean_field_layerwise",
    "jcnn.diagnosis.summary",
    "jcnn.layers._normalizing",
    "jcnn.layers._pool",
    "jcnn.models._chains",
    "jcnn.models._resnet",
    "jcnn.normalization._norms",
    "jcnn.report.curves",
    "jcnn.report.html",
    "jcnn.report.pictures",
    "jcnn.report.samples",
    "jcnn.study.inspect_model",
    "jcnn.study.retrain",
    "jcnn.study.study",
    "jcnn.training.run",
}
WITH_EXAMPLES = [
    module.name
    for module in pkgutil.walk_packages(jcnn.__path__, "jcnn.")
    if ">>>" in Path(importlib.util.find_spec(module.name).origin).read_text()
]


def examples(name):
    return pytest.param(name, marks=[pytest.mark.slow] if name in LONG_EXAMPLES else [])


def test_long_examples_exist():
    assert set(WITH_EXAMPLES) > LONG_EXAMPLES


@pytest.mark.parametrize("name", list(map(examples, WITH_EXAMPLES)))
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0


def public_functions():
    for package in jcnn._SUBMODULES:
        for name, value in vars(importlib.import_module(f"jcnn.{package}")).items():
            home = getattr(value, "__module__", None) or ""
            inside = home == f"jcnn.{package}" or home.startswith(f"jcnn.{package}.")
            if inspect.isfunction(value) and inside and not name.startswith("_"):
                yield f"{package}.{name}", inspect.unwrap(value)


@pytest.mark.parametrize(
    "name",
    [
        *("activations", "convolution", "dense", "initializers", "layers", "losses", "models"),
        *("normalization", "pooling", "testing"),
    ],
)
def test_dir_shows_only_what_is_public(name):
    module = importlib.import_module(f"jcnn.{name}")
    helpers = {"Any", "Array", "ArrayLike", "Callable", "Sequence", "dataclass", "annotations"}
    shown = {public for public in dir(module) if not public.startswith("_")}
    shown.discard("jaxtyping")  # added by the hook that checks types in the tests
    assert shown
    assert not {public for public in shown if inspect.ismodule(getattr(module, public))}
    assert not shown & helpers


def test_every_public_function_has_an_example():
    """In its own docstring, or in another of its module, where one shows several."""
    lacking = []
    for name, function in public_functions():
        source = Path(inspect.getsourcefile(function)).read_text()
        examples = "\n".join(re.findall(r"^ *(?:>>>|\.\.\.) .*$", source, re.MULTILINE))
        if not re.search(rf"\b{name.partition('.')[2]}\b", examples):
            lacking.append(name)
    assert not lacking


@pytest.mark.slow
def test_readme_snippets_run(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


COMMANDS = sorted((ROOT / "jcnn/cli/commands").glob("*.py"))


def test_commands_never_import_each_other():
    """A command may import the shared modules of `jcnn.cli`, and those import no command."""
    assert len(COMMANDS) > 10
    shared = sorted((ROOT / "jcnn/cli").glob("*.py"))
    for path in [*COMMANDS, *shared]:
        if path.name in ("__init__.py", "parser.py"):
            continue
        assert not [m for m in imported(path) if m.startswith("jcnn.cli.commands")], path
