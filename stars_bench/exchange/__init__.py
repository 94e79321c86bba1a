"""Floor 2.5: other people's formats, out (`export`) and in (`import_file`)."""

from stars_bench.exchange.formats import FORMATS
from stars_bench.exchange.incoming import ImportReport, import_file
from stars_bench.exchange.outgoing import ExportReport, export

__all__ = ["FORMATS", "ExportReport", "ImportReport", "export", "import_file"]
