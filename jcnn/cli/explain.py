"""`jcnn explain`: what backpropagation does, with numbers."""

import argparse
from typing import TYPE_CHECKING, Any

from jcnn import names, strict_json
from jcnn.cli.output import add_output

if TYPE_CHECKING:
    from jcnn.diagnosis import Chain

# A largest slope below 1 shrinks every gradient; these are shown beside the one that was asked for.
_BESIDE = ("sigmoid", "tanh", "relu")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("explain", help="what backpropagation does, with numbers")
    topics = parser.add_subparsers(dest="topic", metavar="TOPIC", required=True)
    chain = topics.add_parser(
        "chain-rule",
        help="the gradient of a small net's first weight as a product, beside jax.grad's",
        description="A net of one unit a layer, its gradient factor by factor: dL/dW1 = dL/dO x "
        "dO/dH x ... x dH1/dW1.",
    )
    chain.add_argument("--activation", default="sigmoid", help="a name, or module:attribute")
    chain.add_argument("--depth", type=int, default=3, metavar="LAYERS")
    chain.add_argument("--weight", type=float, default=1.0, help="every weight (default 1)")
    chain.add_argument("--input", type=float, default=1.0, metavar="X")
    chain.add_argument("--target", type=float, default=1.0)
    add_output(chain)
    chain.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the chain."""
    from jcnn.activations import facts
    from jcnn.diagnosis import chain_rule

    function = names.lookup("activation", chosen.activation)
    chain = chain_rule(
        function, depth=chosen.depth, weight=chosen.weight, x=chosen.input, target=chosen.target
    )
    if chosen.json:
        print(strict_json.dumps(chain))
        return 0
    _print(chosen.activation, chosen.depth, chain)
    print("the largest possible factor f'(z), and what as many layers leave of it:")
    for name in dict.fromkeys([chosen.activation, *_BESIDE]):
        slope = facts(names.lookup("activation", name)).max_derivative
        print(f"  {name:12} {slope:<8.4g} {slope**chosen.depth:.3g}")
    return 0


def _print(name: str, depth: int, chain: "Chain") -> None:
    from rich.console import Console
    from rich.table import Table

    print(
        f"{depth} layers of one unit, f = {name}: z = W H below, H = f(z); output O = "
        f"{chain.output:.6g}, target {chain.target:g}, loss L = (O - target)^2 / 2 = "
        f"{chain.loss:.6g}\n"
    )
    table = Table(box=None, pad_edge=False)
    for head in ("factor", "is", "value", "product so far"):
        table.add_column(head, justify="left" if head in ("factor", "is") else "right")
    product = 1.0
    for factor in chain.factors:
        product *= factor.value
        table.add_row(factor.symbol, factor.formula, f"{factor.value:.6g}", f"{product:.6g}")
    Console().print(table)
    print(f"\ndL/dW1: product {chain.product:.6g}, jax.grad {chain.gradient:.6g}\n")
