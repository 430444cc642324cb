"""Initializers for kernels `(*window, in, out)`: factories, as in `jax.nn.initializers`.

A factory returns an initializer `init(key, shape, dtype=float32)`: `kernel_init=he_normal()`. The
names that JAX has mean what they mean there, so `*_normal` is a truncated normal distribution;
`*_untruncated_normal` is the plain one. Only `zeros` and `ones` are initializers themselves, again
as in JAX.

>>> import jax, jax.numpy as jnp
>>> key = jax.random.key(0)
>>> for init in (lecun_normal(), glorot_normal(), he_normal()):  # fan-in times variance
...     print(init.name, round(float(100 * jnp.var(init(key, (100, 300)))), 1))
lecun_normal 1.0
glorot_normal 0.5
he_normal 2.0
>>> xavier_normal is glorot_normal, kaiming_normal is he_normal
(True, True)
"""

from jax.nn import initializers as _jax_initializers

from jcnn.initializers._gain import gain as gain
from jcnn.initializers._gain import scaled as scaled
from jcnn.initializers._lsuv import DataDriven as DataDriven
from jcnn.initializers._lsuv import lsuv as lsuv
from jcnn.initializers._lsuv import lsuv_orthogonal as lsuv_orthogonal
from jcnn.initializers._named import Initializer as Initializer
from jcnn.initializers._named import NamedInitializer as NamedInitializer
from jcnn.initializers._named import fans as fans
from jcnn.initializers._orthogonal import delta_orthogonal as delta_orthogonal
from jcnn.initializers._orthogonal import dirac as dirac
from jcnn.initializers._orthogonal import orthogonal as orthogonal
from jcnn.initializers._random import constant as constant
from jcnn.initializers._random import glorot_normal as glorot_normal
from jcnn.initializers._random import glorot_uniform as glorot_uniform
from jcnn.initializers._random import glorot_untruncated_normal as glorot_untruncated_normal
from jcnn.initializers._random import he_normal as he_normal
from jcnn.initializers._random import he_uniform as he_uniform
from jcnn.initializers._random import he_untruncated_normal as he_untruncated_normal
from jcnn.initializers._random import lecun_normal as lecun_normal
from jcnn.initializers._random import lecun_uniform as lecun_uniform
from jcnn.initializers._random import lecun_untruncated_normal as lecun_untruncated_normal
from jcnn.initializers._random import normal as normal
from jcnn.initializers._random import standard_uniform as standard_uniform

kaiming_normal = he_normal
kaiming_uniform = he_uniform
xavier_normal = glorot_normal
xavier_uniform = glorot_uniform

ones = _jax_initializers.ones
variance_scaling = _jax_initializers.variance_scaling
zeros = _jax_initializers.zeros
