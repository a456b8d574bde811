"""report.html: one or several runs on a self-contained page that can be mailed and opened offline."""

from ganforge.outputs.report.page import MAX_BYTES, write_report

__all__ = ["MAX_BYTES", "write_report"]
