"""Tools for all experiments: claims, measurements, networks, timing, tables and plots."""
