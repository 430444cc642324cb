"""Mean-field theory of wide networks: what signals and gradients do with depth, predicted."""

from jcnn.activations import variance_gain as variance_gain
from jcnn.theory.batch_norm import batch_norm_gradient_growth as batch_norm_gradient_growth
from jcnn.theory.jacobian import singular_values as singular_values
from jcnn.theory.meanfield import MeanField as MeanField
from jcnn.theory.meanfield import critical_weight_variance as critical_weight_variance
from jcnn.theory.meanfield import mean_field as mean_field
from jcnn.theory.propagation import Layer as Layer
from jcnn.theory.propagation import gradient_ratio as gradient_ratio
from jcnn.theory.propagation import propagate as propagate
