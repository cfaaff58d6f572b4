"""Evaluation results as plots and pages."""
