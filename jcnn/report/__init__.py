"""Figures of results, and a study's report as one self-contained page."""

from jcnn.public import public_names
from jcnn.report.curves import plot_curves as plot_curves
from jcnn.report.effects import plot_effects as plot_effects
from jcnn.report.effects import plot_interaction as plot_interaction
from jcnn.report.gradients import plot_gradients as plot_gradients
from jcnn.report.html import render as render
from jcnn.report.html import shows as shows
from jcnn.report.html import write_figures as write_figures
from jcnn.report.html import write_report as write_report
from jcnn.report.layers import plot_layers as plot_layers
from jcnn.report.learning_rate import plot_rates as plot_rates
from jcnn.report.phase_diagram import plot_phases as plot_phases
from jcnn.report.pictures import plot_confused as plot_confused
from jcnn.report.pictures import plot_confusion as plot_confusion
from jcnn.report.pictures import plot_filters as plot_filters
from jcnn.report.pictures import plot_poolings as plot_poolings
from jcnn.report.pictures import plot_stages as plot_stages
from jcnn.report.ranking import plot_ranking as plot_ranking
from jcnn.report.samples import plot_samples as plot_samples
from jcnn.report.sensitivity import plot_sensitivity as plot_sensitivity
from jcnn.report.style import save as save
from jcnn.report.sweep import plot_sweep as plot_sweep


def __dir__() -> list[str]:
    return public_names(globals())
