"""Mean-field theory of wide networks: how signals and gradients change with depth."""

from jcnn.activations import variance_gain as variance_gain
from jcnn.theory._batch_norm import batch_norm_gradient_growth as batch_norm_gradient_growth
from jcnn.theory._jacobian import SingularValues as SingularValues
from jcnn.theory._jacobian import singular_values as singular_values
from jcnn.theory._mean_field import MeanField as MeanField
from jcnn.theory._mean_field import critical_weight_variance as critical_weight_variance
from jcnn.theory._mean_field import mean_field as mean_field
from jcnn.theory._propagation import Layer as Layer
from jcnn.theory._propagation import gradient_ratio as gradient_ratio
from jcnn.theory._propagation import propagate as propagate
