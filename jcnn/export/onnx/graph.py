"""An ONNX graph under construction."""

import string
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcnn.errors import UsageError

# A value is known (an array, of JAX for keys of random numbers) or computed in the graph (the name
# of a tensor).
Value = np.ndarray | jax.Array | str
OPSET = 17


class Graph:
    """The nodes and constants of a graph whose first axis, the batch, has a symbolic size."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._batch_size: str | None = None
        self._known: dict[int, tuple[np.ndarray, str]] = {}
        self._count = 0
        self._input = ""

    def start(self, name: str) -> str:
        """Name the graph's input, whose first axis is the batch."""
        self._input = name
        return name

    def name(self, hint: str) -> str:
        """Return a new name for a tensor."""
        self._count += 1
        return f"{hint}_{self._count}"

    def known(self, array: np.ndarray, name: str) -> np.ndarray:
        """Return an array, such as a weight, that keeps its name where it is used as it is."""
        self._known[id(array)] = array, name
        return array

    def constant(self, array: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = self._known[id(array)][1] if id(array) in self._known else self.name("constant")
        self.constants[name] = array.astype(np.float32) if array.dtype == jnp.bfloat16 else array
        return name

    def initializers(self) -> list[Any]:
        """Return the constants that nodes use, as ONNX stores them."""
        from onnx import numpy_helper

        used = {name for node in self.nodes for name in node.input}
        return [
            numpy_helper.from_array(np.array(array, order="C"), name)
            for name, array in self.constants.items()
            if name in used
        ]

    def tensor(self, value: Value) -> str:
        """Return the name of a value; one that is known becomes a constant."""
        return value if isinstance(value, str) else self.constant(np.asarray(value))

    def add(self, operator: str, *values: Value, **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        from onnx import helper

        output = self.name(operator.lower())
        names = [self.tensor(value) for value in values]
        self.nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
        return output

    def shape(self, sizes: Sequence[Any]) -> Value:
        """Return a shape as int64, known if no size depends on the batch."""
        if all(isinstance(size, int) for size in sizes):
            return np.array(sizes, np.int64)
        parts: list[Value] = [self._size(size) for size in sizes]
        return self.add("Concat", *parts, axis=0)

    def _size(self, size: Any) -> Value:
        if isinstance(size, int):
            return np.array([size], np.int64)
        if self._batch_size is None:
            shape = self.add("Shape", self._input)
            self._batch_size = self.add("Gather", shape, np.array([0], np.int64), axis=0)
        factor = size // self.batch
        if not isinstance(factor, int) or factor * self.batch != size:
            raise UsageError(f"an axis of size {size} cannot be written to ONNX; fix the batch")
        if factor == 1:
            return self._batch_size
        return self.add("Mul", self._batch_size, np.array([factor], np.int64))

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """Transpose a value, unless its axes stay where they are."""
        if [*order] == [*range(len(order))]:
            return value
        if not isinstance(value, str):
            return value.transpose(order)
        return self.add("Transpose", value, perm=[*order])

    def reshape(self, value: Value, sizes: Sequence[Any]) -> Value:
        """Reshape a value; one size may depend on the batch without a computation."""
        if not isinstance(value, str):
            return value.reshape(sizes)
        unknown = sum(not isinstance(size, int) for size in sizes)
        if unknown == 1 and 0 not in sizes:
            known = [size if isinstance(size, int) else -1 for size in sizes]
            return self.add("Reshape", value, np.array(known, np.int64))
        return self.add("Reshape", value, self.shape(sizes))

    def einsum(self, a: Value, b: Value, dimension_numbers: Any, ranks: tuple[int, int]) -> str:
        """Add `lax.dot_general`."""
        (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
        letters = iter(string.ascii_lowercase)
        first = [next(letters) for _ in range(ranks[0])]
        second = [""] * ranks[1]
        for i, j in (
            *zip(contract_a, contract_b, strict=True),
            *zip(batch_a, batch_b, strict=True),
        ):
            second[j] = first[i]
        second = [letter or next(letters) for letter in second]
        batch = [first[i] for i in batch_a]
        free = [
            letter
            for axes, used in ((first, (*contract_a, *batch_a)), (second, (*contract_b, *batch_b)))
            for i, letter in enumerate(axes)
            if i not in used
        ]
        equation = f"{''.join(first)},{''.join(second)}->{''.join(batch + free)}"
        return self.add("Einsum", a, b, equation=equation)
