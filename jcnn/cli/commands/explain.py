"""`jcnn explain`: backpropagation, factor by factor, with numbers."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.formatting import count
from jcnn.cli.limits import check_at_most
from jcnn.cli.output_arguments import add_output_arguments
from jcnn.cli.tables import Column, console, table

if TYPE_CHECKING:
    from rich.console import Console

    from jcnn.diagnosis import Chain

# Activations whose largest slopes are shown after that of the chosen one.
_REFERENCES = ("sigmoid", "tanh", "relu")
_DEEPEST = 500  # layers, each of which is a line


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("explain", help="show backpropagation factor by factor")
    topics = parser.add_subparsers(dest="topic", metavar="TOPIC", required=True)
    chain = topics.add_parser(
        "chain-rule",
        help="show the gradient of a small network's first weight as a product",
        description="The gradient of a network of one unit per layer, factor by factor, next to "
        "jax.grad's: dL/dW1 = dL/dO x dO/dH x ... x dH1/dW1.",
    )
    chain.add_argument(
        "--activation", default="sigmoid", help="a name, or module:attribute (default: sigmoid)"
    )
    chain.add_argument(
        "--depth", type=int, default=3, metavar="LAYERS", help="number of layers (default: 3)"
    )
    chain.add_argument("--weight", type=float, default=1.0, help="every weight (default: 1)")
    chain.add_argument(
        "--input", type=float, default=1.0, metavar="X", help="the input (default: 1)"
    )
    chain.add_argument("--target", type=float, default=1.0, help="the target (default: 1)")
    add_output_arguments(chain)
    chain.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the chain."""
    check_at_most("--depth", chosen.depth, _DEEPEST)
    from jcnn.activations import facts
    from jcnn.diagnosis import chain_rule

    function = names.lookup("activation", chosen.activation)
    chain = chain_rule(
        function, depth=chosen.depth, weight=chosen.weight, x=chosen.input, target=chosen.target
    )
    if chosen.json:
        print(strict_json.dumps(chain))
        return 0
    terminal = console()
    _print(terminal, chosen.activation, chosen.depth, chain)
    compared = list(dict.fromkeys([chosen.activation, *_REFERENCES]))
    slopes = [facts(names.lookup("activation", name)).max_derivative for name in compared]
    terminal.print("the largest possible factor f'(z), and its power over all layers:")
    columns = [
        Column("activation", compared),
        Column("largest f'(z)", [f"{slope:.4g}" for slope in slopes], numeric=True),
        Column(
            f"{count(chosen.depth, 'layer')}",
            [f"{slope**chosen.depth:.3g}" for slope in slopes],
            numeric=True,
        ),
    ]
    terminal.print(table(columns, terminal.width))
    return 0


def _print(terminal: "Console", name: str, depth: int, chain: "Chain") -> None:
    terminal.print(
        f"{count(depth, 'layer')} of one unit, f = {name}: z = W times the H below, H = f(z); "
        f"output O = {chain.output:.6g}, target {chain.target:g}, loss L = (O - target)^2 / 2 = "
        f"{chain.loss:.6g}\n"
    )
    products, product = [], 1.0
    for factor in chain.factors:
        product *= factor.value
        products.append(product)
    columns = [
        Column("factor", [factor.symbol for factor in chain.factors]),
        Column("formula", [factor.formula for factor in chain.factors]),
        Column("value", [f"{factor.value:.6g}" for factor in chain.factors], numeric=True),
        Column("product so far", [f"{product:.6g}" for product in products], numeric=True),
    ]
    terminal.print(table(columns, terminal.width))
    terminal.print(f"\ndL/dW1: product {chain.product:.6g}, jax.grad {chain.gradient:.6g}\n")
