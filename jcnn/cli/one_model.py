"""Arguments that name one model on one data set, as a study of one combination."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.study import Study

_FACTORS = ("activation", "kernel_init", "normalization", "pooling", "optimizer")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        help=f"{', '.join(names.TABLES['model'])}, or module:attribute (default lenet)",
    )
    parser.add_argument("--model", dest="named", metavar="MODEL", help="the same")
    parser.add_argument(
        "--data", default="digits", help="a name, a .npz file, a folder or tar archive"
    )
    for factor in _FACTORS:
        known = ", ".join(names.TABLES[factor])
        parser.add_argument(f"--{factor.replace('_', '-')}", metavar="VALUE", help=known)
    parser.add_argument("--depth", type=int, help="of a model that takes it (plain)")
    parser.add_argument("--width", type=int, help="of a model that takes it (plain)")
    parser.add_argument(
        "--factor", action="append", nargs=2, metavar=("NAME", "VALUE"), default=[],
        help="any other keyword of the model",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)


def study_of(chosen: argparse.Namespace, **settings: Any) -> "Study":
    """The study that the arguments describe, with further settings of `Study`."""
    if chosen.model and chosen.named:
        raise UsageError("the model is named twice; give it once")
    from jcnn import engine
    from jcnn.cli.compare import factor_value
    from jcnn.data.fetch import cache_dir

    factors: dict[str, list[Any]] = {
        name: [getattr(chosen, name)]
        for name in (*_FACTORS, "depth", "width")
        if getattr(chosen, name) is not None
    }
    factors |= {name: [factor_value(word)] for name, word in chosen.factor}
    engine.use_all_cores()
    engine.keep_compiled(cache_dir() / "compiled")
    from jcnn.study import Study

    return Study(
        data=chosen.data,
        model=chosen.named or chosen.model or "lenet",
        factors=factors,
        seeds=[chosen.seed],
        **settings,
    )
