"""Figures of what was measured."""

from jcnn.report.sweep import plot_sweep as plot_sweep
