"""Pooling over 1 to 3 spatial axes and any number of batch axes, with specified gradients."""

from jcnn.pooling._average import avg_pool as avg_pool
from jcnn.pooling._average import gaussian_weights as gaussian_weights
from jcnn.pooling._average import l2_pool as l2_pool
from jcnn.pooling._average import lp_pool as lp_pool
from jcnn.pooling._average import sum_pool as sum_pool
from jcnn.pooling._average import weighted_avg_pool as weighted_avg_pool
from jcnn.pooling._blur import blur_pool as blur_pool
from jcnn.pooling._gem import gem_pool as gem_pool
from jcnn.pooling._maximum import max_pool as max_pool
from jcnn.pooling._mixtures import mixed_pool as mixed_pool
from jcnn.pooling._mixtures import soft_pool as soft_pool
from jcnn.pooling._stochastic import stochastic_pool as stochastic_pool
from jcnn.pooling._whole import adaptive_avg_pool as adaptive_avg_pool
from jcnn.pooling._whole import adaptive_max_pool as adaptive_max_pool
from jcnn.pooling._whole import global_avg_pool as global_avg_pool
from jcnn.pooling._whole import global_l2_pool as global_l2_pool
from jcnn.pooling._whole import global_max_pool as global_max_pool
