"""Log lines become exchanges: formats recognised, names and times made one, identifiers hashed, bad rows set aside."""

from stillwatch.ingest.account_rows import accounts
from stillwatch.ingest.fieldmap import FieldMap, load_field_map
from stillwatch.ingest.files import input_files
from stillwatch.ingest.keys import Key
from stillwatch.ingest.reading import Batch, exchanges
from stillwatch.ingest.sniffing import formats

__all__ = ["Batch", "FieldMap", "Key", "accounts", "exchanges", "formats", "input_files", "load_field_map"]
