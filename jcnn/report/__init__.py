"""Figures of what was measured."""

from jcnn.report.layers import plot_layers as plot_layers
from jcnn.report.learning_rate import plot_rates as plot_rates
from jcnn.report.phase import plot_phases as plot_phases
from jcnn.report.sweep import plot_sweep as plot_sweep
