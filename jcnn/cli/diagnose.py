"""`jcnn diagnose`: what happens in each layer of a network, what is wrong, and what would help."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.names import UsageError

if TYPE_CHECKING:
    from jcnn.diagnosis import Diagnosis
    from jcnn.study.diagnosing import Tried

_FACTORS = ("activation", "kernel_init", "normalization", "pooling", "optimizer")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diagnose",
        help="why a network does not train: signals and gradients in each layer, verdict, remedy",
        description="One batch through a network at initialization: each layer with weights, what "
        "its signals and gradients are, what is wrong and what would help.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        help=f"{', '.join(names.TABLES['model'])}, or module:attribute (default lenet)",
    )
    parser.add_argument("--model", dest="named", metavar="MODEL", help="the same")
    parser.add_argument("--data", default="digits", help="a name, a .npz file or a folder")
    for factor in _FACTORS:
        known = ", ".join(names.TABLES[factor])
        parser.add_argument(f"--{factor.replace('_', '-')}", metavar="VALUE", help=known)
    parser.add_argument("--depth", type=int, help="of a model that takes it (plain)")
    parser.add_argument("--width", type=int, help="of a model that takes it (plain)")
    parser.add_argument(
        "--factor", action="append", nargs=2, metavar=("NAME", "VALUE"), default=[],
        help="any other keyword of the model",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=float, default=0.1, metavar="RATE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=256, help="in the batch (default 256)")
    parser.add_argument(
        "--singular-values", action="store_true", help="of each layer's Jacobian, and the model's"
    )
    parser.add_argument(
        "--try-remedies",
        action="store_true",
        help="train each remedy for 2 epochs, 2 seeds and 4 rates, and say which helped",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the diagnosis; the exit code is 0 whatever it is."""
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
    from jcnn.study.diagnosing import diagnose_first, try_remedies

    study = Study(
        data=chosen.data,
        model=chosen.named or chosen.model or "lenet",
        factors=factors,
        learning_rates=[chosen.learning_rate],
        seeds=[chosen.seed],
    )
    found = diagnose_first(study, examples=chosen.examples, singular_values=chosen.singular_values)
    tried = []
    if chosen.try_remedies and found.verdicts:
        from dataclasses import replace

        brief = replace(study, learning_rates=(0.3, 0.1, 0.03, 0.01), seeds=2, epochs=2)
        tried = try_remedies(brief, found)
    if chosen.json:
        content = json.loads(found.to_json())
        content["tried"] = [one._asdict() for one in tried]
        print(json.dumps(content, indent=1))
        return 0
    _print(found, chosen.singular_values)
    if tried:
        _print_tried(tried)
    return 0


def _print(found: "Diagnosis", singular_values: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    columns: dict[str, list[str]] = {
        "std": [f"{one.std:.2g}" for one in found.layers],
        "saturated": [share(one.saturated) for one in found.layers],
        "dead": [share(one.dead) for one in found.layers],
        "rank": [f"{one.effective_rank:.1f}/{one.units}" for one in found.layers],
        "|dL/dh|": [f"{one.gradient:.2g}" for one in found.layers],
        "factor": ["" if one.factor is None else f"{one.factor:.2g}" for one in found.layers],
        "|dL/dW|": [f"{one.weight_gradient:.2g}" for one in found.layers],
        "update": [f"{one.update_ratio:.1g}" for one in found.layers],
    }
    if singular_values:
        values = [one.singular_values for one in found.layers]
        columns["rms"] = [f"{one.root_mean_square:.2g}" if one else "" for one in values]
        columns["largest"] = [f"{one.largest:.2g}" if one else "" for one in values]
        columns["smallest"] = [f"{one.smallest:.2g}" if one else "" for one in values]
    columns = {head: cells for head, cells in columns.items() if any(cells)}
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for head in columns:
        table.add_column(head, justify="right", overflow="fold")
    for one, cells in zip(found.layers, zip(*columns.values(), strict=True), strict=True):
        table.add_row(Text(one.name), *cells)
    console = Console()
    console.print(table)
    activations = dict.fromkeys(one.activation for one in found.layers if one.activation)
    console.print(f"\nactivations found: {', '.join(activations) or 'none'}")
    whole = found.singular_values
    if whole is not None:
        console.print(
            f"d outputs / d inputs: singular values from {whole.smallest:.2g} to "
            f"{whole.largest:.2g}, root mean square {whole.root_mean_square:.2g}"
        )
    told = [f"{one.kind} at {one.layer}: {one.sentence}" for one in found.verdicts]
    if found.unseen:
        names_of = ", ".join(found.unseen)
        console.print(Text(f"not seen on their own (in a loop, or not called): {names_of}"))
    for line in told or ["healthy: nothing is wrong with its signals and gradients"]:
        console.print(Text(line))
    for line in found.remedies:
        console.print(Text(line))


def _print_tried(tried: list["Tried"]) -> None:
    from rich.console import Console
    from rich.table import Table

    from jcnn.study.diagnosing import told_change

    table = Table(box=None, pad_edge=False)
    for head in ("tried for 2 epochs", "at the start", "test metric"):
        table.add_column(head, overflow="fold")
    for one in tried:
        table.add_row(told_change(one.change), one.verdict, one.shown or one.error)
    console = Console()
    console.print()
    console.print(table)
