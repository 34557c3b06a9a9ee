"""A corpus in, its figures, and terminal lines or one page that show them, out: what it holds, and what it left out."""

from wwmcorpus.report.describe import describe
from wwmcorpus.report.figures import Report
from wwmcorpus.report.page import page, write_page
from wwmcorpus.report.terminal import print_report

__all__ = ["Report", "describe", "page", "print_report", "write_page"]
