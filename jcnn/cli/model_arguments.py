"""The arguments that choose one model and data set, and the study of that one combination."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.cli.study_arguments import DATA_HELP
from jcnn.cli.tables import console
from jcnn.cli.values import parse_value
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from jcnn.data import Dataset
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
    parser.add_argument("--data", help=f"{DATA_HELP} (default: digits)")
    parser.add_argument(
        "--input",
        type=int,
        nargs="+",
        metavar="SIZE",
        help="random inputs of this shape, such as 224 224 3, instead of data (default: data)",
    )
    parser.add_argument(
        "--classes", type=int, help="classes of the random labels of --input (default: 10)"
    )
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
    parser.add_argument(
        "--call", help="module:attribute of a function call(model, x) (default: model(x))"
    )
    parser.add_argument(
        "--output",
        help="which of the model's outputs: a key, an index or module:attribute (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the random seed (default: 0)")


def study_of_model(chosen: argparse.Namespace, examples: int, **settings: Any) -> "Study":
    """Return the study that the arguments describe, with further settings of `Study`.

    `examples` is the number of training examples that a command needs if they are random.
    """
    if chosen.model and chosen.named:
        raise UsageError("the model is given twice; give it once")
    if chosen.input and chosen.data:
        raise UsageError("--input makes random data; give it or --data, not both")
    if chosen.classes is not None and not chosen.input:
        raise UsageError("--classes is the number of random labels; it needs --input")
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
        data=_random(chosen, examples) if chosen.input else chosen.data or "digits",
        model=chosen.named or chosen.model or "lenet",
        factors=factors,
        seeds=[chosen.seed],
        call=chosen.call,
        output=chosen.output,
        **settings,
    )


def print_note_on_noise(chosen: argparse.Namespace) -> None:
    """Say that inputs and labels were random, if they were."""
    if chosen.input:
        console().print("on random inputs and labels (--input); --data takes your own")


def _random(chosen: argparse.Namespace, examples: int) -> "Dataset":
    from jcnn.data import DataError, noise

    classes = 10 if chosen.classes is None else chosen.classes
    count = max(-(-5 * examples // 4), 4 * classes)  # a fifth of them is for validation
    try:
        return noise(chosen.input, classes=classes, examples=count)
    except DataError as error:
        raise UsageError(str(error)) from None
