"""Textbook claims as data: one file per claim, with its conditions and criteria."""

from textbook import (
    cross_entropy,
    l2_intensity,
    max_edges,
    max_outliers,
    pooling_shifts,
    pooling_speed,
    relu_cheap,
    relu_depth,
    remedy_adaptive,
    remedy_batch_norm,
    remedy_initialization,
    remedy_relu,
    tanh_faster,
    video_motion,
    volumes,
    weighted_centre,
    zero_centred,
)

CLAIMS = {
    module.CLAIM.name: module.CLAIM
    for module in (
        zero_centred,
        tanh_faster,
        relu_cheap,
        relu_depth,
        remedy_batch_norm,
        remedy_initialization,
        remedy_adaptive,
        remedy_relu,
        max_outliers,
        max_edges,
        l2_intensity,
        weighted_centre,
        pooling_shifts,
        pooling_speed,
        cross_entropy,
        video_motion,
        volumes,
    )
}
