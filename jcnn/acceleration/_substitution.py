"""Running a jaxpr with other computations in place of some primitives, at every depth.

Unlike `jcnn.tracing.flatten`, this keeps the structure of the program: loops stay loops, jitted
functions stay jitted, and functions with custom derivative rules keep them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from jax import lax
from jax.extend import core, source_info_util

from jcnn.jaxprs import bind, opened, scan_parts

Values = list[Any]
# `substitute(equation, inputs) -> outputs`.
Substitute = Callable[[Any, Sequence[Any]], Sequence[Any]]
# Whether an equation has a substitute.
Selects = Callable[[Any], bool]


class Substitution:
    """Equations that `selects` are computed by `substitute`, all others as they are.

    Descends into functions that are jitted, rematerialized, sharded or have custom derivatives, and
    into scans, loops and branches. Other primitives that hold programs (`pallas_call`,
    `custom_linear_solve`) stay as they are.

    >>> import jax.numpy as jnp
    >>> cosines = Substitution(lambda e: e.primitive.name == "sin", lambda e, x: [jnp.cos(*x)])
    >>> closed = jax.make_jaxpr(lambda x: jax.jit(jnp.sin)(x) + 1.0)(0.0)
    >>> cosines.applies_to(closed), [float(y) for y in cosines.run(closed, [0.0])]
    (True, [2.0])
    """

    def __init__(
        self,
        selects: Selects,
        substitute: Substitute,
        stand_ins: Mapping[Any, Any] | None = None,
    ) -> None:
        """Take the two functions; `substitute` is called for equations that are selected alone.

        `stand_ins` maps a primitive that substitutes consist of to the one in whose place it is:
        the policy of a rematerialized function sees the latter.
        """
        self._selects = selects
        self._substitute = substitute
        self._stand_ins = dict(stand_ins or {})
        self._nested = {
            "jit": self._jit,
            "pjit": self._jit,
            "closed_call": self._call,
            "core_call": self._call,
            "remat2": self._remat,
            "checkpoint": self._remat,
            "scan": self._scan,
            "while": self._while,
            "cond": self._cond,
            "custom_jvp_call": self._custom_jvp,
            "custom_vjp_call": self._custom_vjp,
            "shard_map": self._shard_map,
        }

    def applies_to(self, jaxpr: Any) -> bool:
        """Whether anything in a jaxpr would be substituted."""
        return any(self._changes(equation) for equation in opened(jaxpr)[0].eqns)

    def run(self, jaxpr: Any, inputs: Sequence[Any]) -> Values:
        """Return the outputs of a jaxpr, with all substitutions."""
        program, constants = opened(jaxpr)
        values = dict(zip(program.constvars, constants, strict=True))
        values.update(zip(program.invars, inputs, strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, core.Literal) else values[atom]

        for equation in program.eqns:
            source = equation.source_info
            names = source_info_util.current_name_stack() + source.name_stack
            # An error in what follows points to the user's line, and a profile shows its names.
            with (
                source_info_util.user_context(source.traceback, name_stack=names),
                equation.ctx.manager,
            ):
                outputs = self._equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in program.outvars]

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of arrays in pytrees with all substitutions, traced when called."""

        def substituted(*arguments: Any) -> Any:
            closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
            leaves = jax.tree.leaves(arguments)
            run = self.run if self.applies_to(closed) else _run_unchanged
            outputs = run(closed, leaves)
            return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

        return substituted

    def _changes(self, equation: Any) -> bool:
        name = equation.primitive.name
        if equation.params.get("symbolic_zeros"):
            return False  # its rule tells zeros apart, which its substitute could not
        if name in self._nested:
            return any(map(self.applies_to, core.jaxprs_in_params(equation.params)))
        return self._selects(equation)

    def _equation(self, equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if not self._changes(equation):
            return bind(equation, inputs)
        compute = self._nested.get(equation.primitive.name, self._substitute)
        return compute(equation, inputs)

    def _call(self, equation: Any, inputs: Sequence[Any]) -> Values:
        return self.run(equation.params.get("jaxpr", equation.params.get("call_jaxpr")), inputs)

    def _jit(self, equation: Any, inputs: Sequence[Any]) -> Values:
        body = equation.params["jaxpr"]
        closed = jax.make_jaxpr(lambda *xs: self.run(body, xs))(*inputs)
        return bind(equation, inputs, jaxpr=closed)

    def _remat(self, equation: Any, inputs: Sequence[Any]) -> Values:
        params = equation.params

        def body(*values: Any) -> Values:
            return self.run(params["jaxpr"], values)

        policy = params["policy"]

        def seen_by_policy(primitive: Any, *avals: Any, **options: Any) -> Any:
            return policy(self._stand_ins.get(primitive, primitive), *avals, **options)

        remat = jax.checkpoint(
            body,
            prevent_cse=params["prevent_cse"],
            policy=None if policy is None else seen_by_policy,
        )
        if not params["differentiated"]:
            return list(remat(*inputs))
        # What is differentiated already is recomputed as it stands.
        closed = jax.make_jaxpr(remat)(*inputs)
        (inner,) = closed.jaxpr.eqns
        values = dict(zip(closed.jaxpr.invars, inputs, strict=True))
        values.update(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        read = [a.val if isinstance(a, core.Literal) else values[a] for a in inner.invars]
        outputs = bind(inner, read, differentiated=True)
        computed = {**values, **dict(zip(inner.outvars, outputs, strict=True))}
        return [a.val if isinstance(a, core.Literal) else computed[a] for a in closed.jaxpr.outvars]

    def _scan(self, equation: Any, inputs: Sequence[Any]) -> Values:
        parts = scan_parts(equation)
        carried = parts.constants + parts.carried
        constants, carry, stacked = (
            inputs[: parts.constants],
            list(inputs[parts.constants : carried]),
            list(inputs[carried:]),
        )

        def body(carry: Values, slices: Values) -> tuple[Values, Values]:
            outputs = self.run(parts.body, [*constants, *carry, *slices])
            return outputs[: parts.carried], outputs[parts.carried :]

        carry, stacks = lax.scan(
            body,
            carry,
            stacked,
            length=parts.length,
            reverse=parts.reverse,
            unroll=equation.params["unroll"],
        )
        return [*carry, *stacks]

    def _while(self, equation: Any, inputs: Sequence[Any]) -> Values:
        params = equation.params
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        for_condition, for_body, carry = inputs[:first], inputs[first:second], inputs[second:]
        return list(
            lax.while_loop(
                lambda carry: self.run(params["cond_jaxpr"], [*for_condition, *carry])[0],
                lambda carry: self.run(params["body_jaxpr"], [*for_body, *carry]),
                list(carry),
            )
        )

    def _cond(self, equation: Any, inputs: Sequence[Any]) -> Values:
        index, *operands = inputs
        branches = [
            lambda *values, branch=branch: self.run(branch, values)
            for branch in equation.params["branches"]
        ]
        return list(lax.switch(index, branches, *operands))

    def _shard_map(self, equation: Any, inputs: Sequence[Any]) -> Values:
        params = equation.params
        sharded = jax.shard_map(
            lambda *values: self.run(params["jaxpr"], values),
            mesh=params["mesh"],
            in_specs=params["in_specs"],
            out_specs=list(params["out_specs"]),
            axis_names=set(params["newly_manual_axes"]),
            check_vma=params["check_vma"],
        )
        return list(sharded(*inputs))

    def _custom_jvp(self, equation: Any, inputs: Sequence[Any]) -> Values:
        # Its rule is JAX's derivative of the equation, since that calls the user's rule.
        count = equation.params["num_consts"]
        constants, arguments = inputs[:count], inputs[count:]
        body = equation.params["call_jaxpr"]

        @jax.custom_jvp
        def function(*values: Any) -> Values:
            return self.run(body, [*constants, *values])

        original = partial(bind, equation)

        @function.defjvp
        def rule(primals: Any, tangents: Any) -> Any:
            return self.function(
                lambda p, t: jax.jvp(lambda *values: original([*constants, *values]), p, t)
            )(primals, tangents)

        return list(function(*arguments))

    def _custom_vjp(self, equation: Any, inputs: Sequence[Any]) -> Values:
        count = equation.params["num_consts"]
        constants, arguments = inputs[:count], inputs[count:]
        body = equation.params["call_jaxpr"]

        @jax.custom_vjp
        def function(*values: Any) -> Values:
            return self.run(body, [*constants, *values])

        def original(*values: Any) -> Values:
            return bind(equation, [*constants, *values])

        def forward(*values: Any) -> Any:
            return self.function(lambda *values: jax.vjp(original, *values))(*values)

        def backward(pullback: Any, cotangents: Any) -> Any:
            return self.function(lambda p, c: p(c))(pullback, cotangents)

        function.defvjp(forward, backward)
        return list(function(*arguments))


def _run_unchanged(jaxpr: Any, inputs: Sequence[Any]) -> Values:
    outputs: Values = core.jaxpr_as_fun(jaxpr)(*inputs)
    return outputs
