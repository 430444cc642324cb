"""The arguments that choose one model and data set, and the study of that one combination."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.cli.study_arguments import DATA_HELP
from jcnn.cli.values import parse_value
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Study

_FACTORS = {
    "activation": "the model's own",
    "kernel_init": "the model's own",
    "normalization": "the model's own",
    "pooling": "the model's own",
    "optimizer": "momentum",
}


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        help=f"{', '.join(names.TABLES['model'])}, or module:attribute (default: lenet)",
    )
    parser.add_argument(
        "--model", dest="named", metavar="MODEL", help="the model, as an option (default: lenet)"
    )
    parser.add_argument("--data", default="digits", help=f"{DATA_HELP} (default: digits)")
    for factor, default in _FACTORS.items():
        choices = ", ".join(names.TABLES[factor])
        parser.add_argument(
            f"--{factor.replace('_', '-')}",
            metavar="VALUE",
            help=f"{choices} (default: {default})",
        )
    for size in ("depth", "width"):
        parser.add_argument(
            f"--{size}",
            type=int,
            help=f"the {size} of a model that takes one, such as plain (default: the model's own)",
        )
    parser.add_argument(
        "--factor", action="append", nargs=2, metavar=("NAME", "VALUE"), default=[],
        help="any other keyword of the model; can be repeated (default: none)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="the random seed (default: 0)")


def study_of_model(chosen: argparse.Namespace, **settings: Any) -> "Study":
    """Return the study that the arguments describe, with further settings of `Study`."""
    if chosen.model and chosen.named:
        raise UsageError("the model is given twice; give it once")
    from jcnn import engine
    from jcnn.data.fetch import cache_dir

    factors: dict[str, list[Any]] = {
        name: [getattr(chosen, name)]
        for name in (*_FACTORS, "depth", "width")
        if getattr(chosen, name) is not None
    }
    factors |= {name: [parse_value(word)] for name, word in chosen.factor}
    engine.use_all_cores()
    engine.enable_compilation_cache(cache_dir() / "compiled")
    from jcnn.study import Study

    return Study(
        data=chosen.data,
        model=chosen.named or chosen.model or "lenet",
        factors=factors,
        seeds=[chosen.seed],
        **settings,
    )
