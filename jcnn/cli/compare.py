"""`jcnn compare`: train every combination and rank them."""

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.cli.dry_run import dry_run
from jcnn.cli.interruption import exit_code
from jcnn.cli.output import add_output
from jcnn.cli.progress import run_with_progress
from jcnn.cli.report import write_after
from jcnn.cli.table import show, tell_failures
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Study

FACTORS = ("activation", "kernel_init", "normalization", "pooling", "optimizer", "schedule")
DIAGNOSE_EVERY = 20
SETTINGS: dict[str, type] = {
    "epochs": int,
    "batch_size": int,
    "task": str,
    "validation_fraction": float,
    "warmup_steps": int,
    "gradient_clip": float,
    "label_smoothing": float,
    "augmentation": str,
    "dtype": str,
    "data_memory": int,
    "data_dir": str,
}


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="train every combination over seeds and learning rates, and rank them",
        description="Train every combination of the factors' values over paired seeds and learning "
        "rates. Without arguments: activation x kernel init x normalization on digits, 300 runs.",
    )
    parser.add_argument(
        "study",
        nargs="?",
        help="a study file (TOML), or the directory that a study left; flags override it",
    )
    parser.add_argument(
        "--data", help="a name (see `jcnn data list`), a .npz file, a folder or tar archive"
    )
    parser.add_argument("--model", help=f"{', '.join(names.TABLES['model'])}, or module:attribute")
    for factor in FACTORS:
        flag = f"--{factor.replace('_', '-')}"
        known = ", ".join(names.TABLES[factor])
        parser.add_argument(flag, nargs="+", metavar="VALUE", help=f"any of {known}")
    parser.add_argument(
        "--factor",
        action="append",
        nargs="+",
        metavar=("NAME", "VALUE"),
        help="any other keyword of the model, or weight_decay, momentum, batch_size; values are "
        "numbers, true, false, none, names, or tuples: 8,16 (one element: 8,)",
    )
    parser.add_argument("--learning-rate", nargs="+", type=float, metavar="RATE")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1 (default 5)")
    parser.add_argument(
        "--extend-learning-rates",
        action="store_true",
        default=None,
        help="try further rates where the best is the least or greatest tried",
    )
    parser.add_argument(
        "--diagnose",
        nargs="?",
        const=DIAGNOSE_EVERY,
        type=int,
        metavar="STEPS",
        help="measure signals and gradients in each layer at every so manyth step of an epoch "
        f"(default {DIAGNOSE_EVERY}), so that the ranking tells why",
    )
    for setting, kind in SETTINGS.items():
        parser.add_argument(f"--{setting.replace('_', '-')}", type=kind)
    parser.add_argument(
        "--baseline",
        metavar="FACTOR=LEVEL,...",
        help="a combination that every other is compared with, such as activation=relu",
    )
    parser.add_argument(
        "--out",
        help="the directory that keeps the runs (default runs/<data>-<model>, or of the study "
        "file's name); what is there is not trained again",
    )
    parser.add_argument(
        "--metric",
        metavar="FORM",
        help="judge by something else than the task's test metric: loss, area (under the "
        "validation curve), steps:0.9 or seconds:0.9 (to that validation metric), diverged",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the plan (runs, compilations, estimated time and memory) and train nothing",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of a study file, such as epochs=20 or factors.width=[8,16]",
    )
    parser.add_argument(
        "--no-report", action="store_true", help="leave report.html as it is, or out"
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the study that the file and the flags describe."""
    keywords = study_keywords(chosen)

    from jcnn import engine
    from jcnn.data.fetch import cache_dir

    engine.use_all_cores()
    engine.keep_compiled(cache_dir() / "compiled")
    from jcnn.study import Study

    study = Study(**keywords)
    baseline = baseline_levels(chosen.baseline, [one.names() for one in study.combinations])
    if chosen.out == "":
        raise UsageError("--out is empty; name a directory")
    out = Path(chosen.out) if chosen.out else _directory(chosen.study, study)
    quiet = chosen.quiet or chosen.json
    if chosen.dry_run:
        return dry_run(study, out, as_json=chosen.json)
    if not quiet:
        print(
            f"{study.runs} runs, {study.compilations} compilations: "
            f"{len(study.combinations)} combinations x {len(study.learning_rates)} learning rates "
            f"x {len(study.seed_values)} seeds, {study.epochs} epochs each",
            flush=True,
        )
    try:
        result = run_with_progress(study, out, chosen.metric, quiet)
    except KeyboardInterrupt as interruption:
        print(f"\njcnn compare: interrupted; {_kept(out)}", file=sys.stderr)
        return exit_code(interruption)
    if chosen.json:
        print(result.to_json())
    else:
        show(result, out, baseline)
    tell_failures(result)
    if not chosen.no_report:
        page = write_after(study, result, out)
        if not quiet:
            print(f"the report: {page}")
    return 1 if result.failures else 0


def _kept(out: Path) -> str:
    """What an interruption left, and how to go on."""
    from jcnn.study.storage.ledger import NAME, Ledger

    if not (out / NAME).exists():
        return "nothing was finished"
    finished = len(Ledger(out, read_only=True).runs())
    return f"{out} keeps {finished} finished runs, and the same command goes on from there"


def baseline_levels(
    given: str | None, combinations: Sequence[Mapping[str, str]]
) -> dict[str, str] | None:
    """The levels that `--baseline` names; UsageError where no single combination has them."""
    if given is None:
        return None
    from jcnn.analysis.baseline import only_match

    words = [word.partition("=") for word in given.split(",")]
    if not all(equals and level for _, equals, level in words):
        raise UsageError(f"--baseline {given}; expected FACTOR=LEVEL, several joined by commas")
    levels = {factor.replace("-", "_"): level for factor, _, level in words}
    only_match(combinations, levels)
    return levels


def study_keywords(chosen: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `Study`: the file's, overridden by the flags."""
    from jcnn.study.toml import check_study, read_study

    keywords = read_study(study_file(chosen.study)) if chosen.study is not None else {}
    factors = {name: list(getattr(chosen, name)) for name in FACTORS if getattr(chosen, name)}
    for factor, *words in chosen.factor or []:
        if not words:
            raise UsageError(f"--factor {factor} needs values: --factor {factor} 1 2")
        named = factor in names.TABLES
        factors.setdefault(factor, []).extend(
            word if named else factor_value(word) for word in words
        )
    if factors:
        keywords["factors"] = keywords.get("factors", {}) | factors
    for name in ("data", "model", "seeds", "extend_learning_rates", "diagnose", *SETTINGS):
        if getattr(chosen, name) is not None:
            keywords[name] = getattr(chosen, name)
    if chosen.learning_rate:
        keywords["learning_rates"] = chosen.learning_rate
    for word in chosen.set:
        _set(keywords, word)
    return check_study(keywords, "--set") if chosen.set else keywords


def _set(keywords: dict[str, Any], word: str) -> None:
    """`epochs=20`, `data=digits`, `factors.width=[8, 16]`: TOML, or a bare word as a string."""
    key, equals, text = word.partition("=")
    if not equals or not text:
        raise UsageError(f"--set {word}: expected KEY=VALUE, such as epochs=20")
    try:
        given = tomllib.loads(word)
    except tomllib.TOMLDecodeError:
        try:
            given = tomllib.loads(f"{key} = {json.dumps(text)}")
        except tomllib.TOMLDecodeError:
            raise UsageError(f"--set {word}: {key} is not a key of TOML; quote its parts") from None
    factors = given.pop("factors", None)
    if isinstance(factors, dict):
        keywords["factors"] = keywords.get("factors", {}) | factors
    elif factors is not None:
        keywords["factors"] = factors
    keywords |= given


def factor_value(word: str) -> Any:
    """A factor's value from a word: true, false, none, a number, a tuple (`64,` or `8,16`)."""
    if word in _WORDS:
        return _WORDS[word]
    if "," in word:
        return tuple(factor_value(part) for part in word.split(",") if part)
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


_WORDS = {"true": True, "false": False, "none": None}


def _directory(given: str | None, study: "Study") -> Path:
    """Where a study without --out is kept: always the same place, so that it can go on there."""
    from jcnn.study.storage.ledger import NAME

    file = None if given is None else study_file(given)
    if file is not None and (Path(given or "").is_dir() or (file.parent / NAME).exists()):
        return file.parent
    if file is not None and file.stem != "study":
        return Path("runs") / file.stem
    described = study.describe()
    return Path("runs") / f"{Path(described['data']).stem}-{described['model'].replace(':', '.')}"


def study_file(given: str) -> Path:
    """The study file that is meant: itself, or that of a directory that a study has left."""
    return Path(given) / "study.toml" if Path(given).is_dir() else Path(given)
