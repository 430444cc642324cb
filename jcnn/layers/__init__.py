"""Thin Flax NNX modules: parameters, and a call to one of jcnn's pure functions."""

from flax import nnx as _nnx

from jcnn.layers._learned import Activation as Activation
from jcnn.layers._learned import Learned as Learned
from jcnn.layers._learned import learned_gem_pool as learned_gem_pool
from jcnn.layers._learned import learned_mixed_pool as learned_mixed_pool
from jcnn.layers._learned import learned_prelu as learned_prelu
from jcnn.layers._learned import learned_weighted_avg_pool as learned_weighted_avg_pool
from jcnn.layers._normalizing import BatchNorm as BatchNorm
from jcnn.layers._normalizing import GroupNorm as GroupNorm
from jcnn.layers._normalizing import InstanceNorm as InstanceNorm
from jcnn.layers._normalizing import LayerNorm as LayerNorm
from jcnn.layers._normalizing import Normalization as Normalization
from jcnn.layers._normalizing import RMSNorm as RMSNorm
from jcnn.layers._normalizing import batch_norm as batch_norm
from jcnn.layers._normalizing import group_norm as group_norm
from jcnn.layers._normalizing import instance_norm as instance_norm
from jcnn.layers._normalizing import layer_norm as layer_norm
from jcnn.layers._normalizing import rms_norm as rms_norm
from jcnn.layers._pool import Pool as Pool
from jcnn.layers._sequential import Flatten as Flatten
from jcnn.layers._sequential import Sequential as Sequential
from jcnn.layers._weighted import Conv as Conv
from jcnn.layers._weighted import Dense as Dense
from jcnn.layers._weighted import Initializer as Initializer
from jcnn.layers._weighted import default_kernel_init as default_kernel_init

Linear = Dense
Dropout = _nnx.Dropout
