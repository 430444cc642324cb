"""The arguments that describe a study, and the keywords of `Study` that they stand for."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jcnn import names
from jcnn.cli.points_file import read_points
from jcnn.cli.set_key import set_key
from jcnn.cli.values import parse_value
from jcnn.errors import UsageError

DATA_HELP = "a name (see `jcnn data list`), a .npz file, a folder or a tar archive"
METRIC_HELP = (
    "rank by loss, area (under the validation curve), steps:0.9 or seconds:0.9 (to reach that "
    "validation metric) or diverged (default: the task's test metric)"
)
BASELINE_HELP = (
    "compare every combination with this one, such as activation=relu (default: no comparison)"
)
COSTS = ("parameters", "flops", "seconds")
COST_HELP = (
    "list the combinations by parameters, flops or seconds, and say which are on the Pareto front "
    "(default: no list)"
)
# The values that are compared if none are given.
FACTORS = {
    "activation": "sigmoid tanh relu, unless a factor is given",
    "kernel_init": "glorot_normal he_normal, unless a factor is given",
    "normalization": "none batch, unless a factor is given",
    "pooling": "the model's own",
    "optimizer": "momentum",
    "schedule": "constant",
}
DIAGNOSE_EVERY = 20
# Other options that `Study` takes under the same name.
OPTIONS = (
    "data",
    "model",
    "seeds",
    "full_grid",
    "within",
    "max_runs",
    "budget",
    "halving_epochs",
    "extend_learning_rates",
    "diagnose",
)
# Type, meaning and default of the settings that `Study` takes as they are.
SETTINGS: dict[str, tuple[type, str, str]] = {
    "epochs": (int, "epochs per run", "15"),
    "batch_size": (int, "training examples per step", "64"),
    "task": (str, "classification, binary or regression", "inferred from the data"),
    "validation_fraction": (float, "share of the training data held out for validation", "0.2"),
    "warmup_steps": (int, "steps over which the learning rate rises from 0", "0"),
    "gradient_clip": (float, "largest global norm of the gradient", "no clipping"),
    "label_smoothing": (float, "share of each label spread over all classes", "0.0"),
    "ema_decay": (float, "evaluate the moving average of the weights, such as 0.999", "no average"),
    "accumulation_steps": (int, "steps whose gradients are averaged for one update", "1"),
    "patience": (int, "epochs without a better one until a run stops", "no early stopping"),
    "warm_start": (str, "file of weights to start from, or module:attribute", "initial values"),
    "augmentation": (
        str,
        "shift:2, flip, randaugment:9, mixup:0.2, several joined by +",
        "none",
    ),
    "call": (str, "module:attribute of a function call(model, x)", "model(x)"),
    "output": (str, "which of the model's outputs: a key, an index or module:attribute", "all"),
    "loss": (str, "module:attribute of loss(outputs, targets), per example", "that of the task"),
    "dtype": (str, "dtype that the model computes in, such as bfloat16", "float32"),
    "data_memory": (int, "bytes of examples held on each device", "half of its memory"),
    "resize": (str, "one size for all images: 224, 224x320, or 224:pad to pad them", "as they are"),
    "data_dir": (str, "directory searched first for data sets", "JCNN_DATA, if set"),
}


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "study",
        nargs="?",
        help="a study file (TOML) or a study's directory; options override it (default: none)",
    )
    parser.add_argument("--data", help=f"{DATA_HELP} (default: digits)")
    models = ", ".join(names.TABLES["model"])
    parser.add_argument("--model", help=f"{models}, or module:attribute (default: lenet)")
    _add_factors(parser)
    _add_points(parser)
    parser.add_argument(
        "--learning-rate",
        nargs="+",
        type=float,
        metavar="RATE",
        help="learning rates to try (default: 1.0 0.3 0.1 0.03 0.01)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="take no more trainings than N seeds for each combination and learning rate would, "
        "unless another limit is set (default: 5)",
    )
    parser.add_argument(
        "--full-grid",
        action="store_true",
        default=None,
        help="train every combination at every rate with every seed (default: drop rates that "
        "are behind and combinations that are ruled out, and give their seeds to the others)",
    )
    parser.add_argument(
        "--within",
        type=float,
        metavar="POINTS",
        help="train until choosing the first combination costs at most this: percentage points "
        "of accuracy, or units of another metric; 0: until one is left (default: the trainings of "
        "the full grid, or for accuracy, what errors on the test examples spread it by)",
    )
    parser.add_argument(
        "--max-runs", type=int, metavar="N", help="train at most N runs (default: see --seeds)"
    )
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="train for at most this time, such as 90s, 10m or 1.5h (default: no limit)",
    )
    parser.add_argument(
        "--halving-epochs",
        type=int,
        metavar="N",
        help="compare learning rates after N epochs, and train only the better two fifths to the "
        "end (default: train all of them to the end)",
    )
    parser.add_argument(
        "--extend-learning-rates",
        action="store_true",
        default=None,
        help="try further learning rates if the best one is the lowest or highest tried",
    )
    parser.add_argument(
        "--diagnose",
        nargs="?",
        const=DIAGNOSE_EVERY,
        type=int,
        metavar="STEPS",
        help="measure signals and gradients in each layer every STEPS steps of an epoch, "
        f"{DIAGNOSE_EVERY} if no number is given (default: do not measure)",
    )
    for setting, (kind, meaning, default) in SETTINGS.items():
        parser.add_argument(
            f"--{setting.replace('_', '-')}", type=kind, help=f"{meaning} (default: {default})"
        )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="further metrics: f1, balanced_accuracy, top5 or module:attribute; combinations are "
        "compared by the first, or by --metric (default: those of the task)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of a study file, such as epochs=20 or factors.width=[8,16], or none to "
        "remove it; can be repeated (default: none)",
    )


def _add_points(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--points",
        metavar="FILE",
        help="train these points instead of all combinations: a .csv file with a column per "
        "factor, or a .json file with a list of objects; learning_rate may be a column (default: "
        "all combinations)",
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="train N of the combinations, chosen so that main effects are estimated best "
        "(default: all combinations)",
    )


def _add_factors(parser: argparse.ArgumentParser) -> None:
    for factor, default in FACTORS.items():
        choices = ", ".join(names.TABLES[factor])
        parser.add_argument(
            f"--{factor.replace('_', '-')}",
            nargs="+",
            metavar="VALUE",
            help=f"one or more of {choices} (default: {default})",
        )
    parser.add_argument(
        "--factor",
        action="append",
        nargs="+",
        metavar=("NAME", "VALUE"),
        help="values of any other keyword of the model, or of weight_decay, momentum or "
        "batch_size: numbers, true, false, none, names, or tuples such as 8,16 (one element: 8,); "
        "can be repeated (default: none)",
    )


def study_keywords(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `Study`: the file's, overridden by the options."""
    from jcnn.study import settings
    from jcnn.study.toml import check_study, read_study

    keywords = read_study(study_file(chosen.study)) if chosen.study is not None else {}
    factors = {name: list(getattr(chosen, name)) for name in FACTORS if getattr(chosen, name)}
    for factor, *words in chosen.factor or []:
        if not words:
            raise UsageError(f"--factor {factor} needs values: --factor {factor} 1 2")
        is_named = factor in names.TABLES
        factors.setdefault(factor, []).extend(
            word if is_named else parse_value(word) for word in words
        )
    if factors:
        keywords["factors"] = keywords.get("factors", {}) | factors
    if chosen.full_grid:
        for name in ("within", "max_runs", "halving_epochs"):  # of the file
            keywords.pop(name, None)
    for name in (*OPTIONS, *SETTINGS):
        if getattr(chosen, name) is not None:
            keywords[name] = getattr(chosen, name)
    if chosen.metrics:
        keywords["metrics"] = chosen.metrics
        metrics = settings.metrics(chosen.metrics)
        if chosen.metric in metrics:
            keywords["metric"] = chosen.metric
    if keywords.get("patience") and chosen.metric in ("loss", "accuracy", "error"):
        keywords["metric"] = chosen.metric  # the best epoch is chosen by it
    if chosen.learning_rate:
        keywords["learning_rates"] = chosen.learning_rate
    for word in chosen.set:
        set_key(keywords, word)
    if chosen.points is not None:
        keywords["points"] = read_points(chosen.points)
        if factors:
            raise UsageError("give --points or factors, not both")
        keywords.pop("factors", None)
    if chosen.sample is not None:
        _take_sample(keywords, chosen.sample)
    return check_study(keywords, "--set") if chosen.set else keywords


def _take_sample(keywords: dict[str, Any], n: int) -> None:
    """Replace the factors by `n` points of their combinations."""
    from jcnn.study.designs import fractional_factorial
    from jcnn.study.plan import DEFAULT_FACTORS

    if "points" in keywords:
        raise UsageError("--sample takes combinations of factors, and the study has points")
    factors = keywords.pop("factors", DEFAULT_FACTORS)
    listed = {name: v if isinstance(v, list | tuple) else [v] for name, v in factors.items()}
    keywords["points"] = fractional_factorial(listed, n)


def study_file(path: str) -> Path:
    """Return the path of the study file: `path`, or the file in it if it is a directory."""
    if not Path(path).is_dir():
        return Path(path)
    from jcnn.study.storage.atomic_files import check_regular

    check_regular(Path(path) / "study.toml")
    return Path(path) / "study.toml"


def parse_levels(
    text: str | None, combinations: Sequence[Mapping[str, str]]
) -> dict[str, str] | None:
    """Return the levels that `text` (FACTOR=LEVEL,...) gives, or None if it is None.

    Raises UsageError unless exactly one combination has them.
    """
    if text is None:
        return None
    from jcnn.analysis.baseline import match_baseline

    words = [word.partition("=") for word in text.split(",")]
    if not all(equals and level for _, equals, level in words):
        raise UsageError(f"--baseline {text}; expected FACTOR=LEVEL, several joined by commas")
    levels = {factor.replace("-", "_"): level for factor, _, level in words}
    match_baseline(combinations, levels)
    return levels
