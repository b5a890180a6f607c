"""The report says what a run came to: the table by category, and `report.html`. It reads files and records.

python -m nsrl.report RUN_FOLDER
"""

from nsrl.report.page import point_title, write_report
from nsrl.report.table import markdown, print_table, table

__all__ = ["markdown", "point_title", "print_table", "table", "write_report"]
