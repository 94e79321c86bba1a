"""Formats of other programs, one file each: export and import."""

from stars_bench.formats.catalog import FORMATS
from stars_bench.formats.export import ExportReport, export
from stars_bench.formats.import_file import ImportReport, import_file

__all__ = ["FORMATS", "ExportReport", "ImportReport", "export", "import_file"]
