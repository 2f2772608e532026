"""Plots of several objectives at once: parallel coordinates and pairwise fronts."""
