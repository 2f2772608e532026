"""The report of a study as HTML, Markdown and in notebooks. No torch."""

from optuna_de.cnn.report.report import write_report

__all__ = ["write_report"]
