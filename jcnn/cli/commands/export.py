"""`jcnn export`: the best network of a finished study as a file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import strict_json
from jcnn.cli.output_arguments import add_output_arguments

if TYPE_CHECKING:
    from jcnn.export import TrainedModel

# Those of `jcnn.export.FORMATS`, whose import would slow down every command.
FORMATS = ("safetensors", "orbax", "stablehlo", "onnx")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write the best network of a finished study to a file",
        description="Write the network of the best combination of a finished study: its weights "
        "(.safetensors, .orbax), or the function with its weights that takes raw inputs "
        "(.stablehlo, .onnx). Unless its weights are in the study's directory already, it is "
        "trained once more.",
    )
    parser.add_argument("directory", help="the study's directory")
    parser.add_argument(
        "--to",
        metavar="FILE",
        default=FORMATS[0],
        help=f"the file to write, such as model.onnx, or {', '.join(FORMATS)} alone for a file in "
        f"the study's directory (default: {FORMATS[0]})",
    )
    parser.add_argument(
        "--metric",
        metavar="METRIC",
        help="the metric that says which is the best (default: the study's)",
    )
    parser.add_argument(
        "--seed", type=int, help="the seed of the run (default: the best one on validation)"
    )
    parser.add_argument(
        "--with-validation",
        action="store_true",
        help="train on training and validation examples together (default: on training ones)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="the number of inputs of .stablehlo and .onnx (default: any number)",
    )
    add_output_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the file."""
    from jcnn import engine
    from jcnn.data.fetch import cache_dir
    from jcnn.study.storage.load import read_result

    directory = Path(chosen.directory)
    path = directory / f"model.{chosen.to}" if chosen.to in FORMATS else Path(chosen.to)
    result = read_result(directory)
    if chosen.metric is not None:
        result = result.by(chosen.metric)
    engine.use_all_cores()
    engine.enable_compilation_cache(cache_dir() / "compiled")
    trained = result.best_model(seed=chosen.seed, with_validation=chosen.with_validation)
    trained.save(path, batch=chosen.batch)
    if chosen.json:
        print(strict_json.dumps({"file": str(path), **trained.about()}))
    else:
        print(f"{path}: {_description(trained)}")
    return 0


def _description(trained: "TrainedModel") -> str:
    from jcnn.analysis.labels import label

    figures = ", ".join(f"test {name} {value:.4g}" for name, value in trained.test.items())
    return (
        f"{label(trained.levels) or 'the network'}, learning rate {trained.learning_rate:g}, "
        f"seed {trained.seed}; {figures}"
    )
