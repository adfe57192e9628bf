"""Log lines become exchanges: formats recognised, names and times made one, identifiers hashed, bad rows set aside."""

from stillwatch.ingest.account_rows import accounts, told_accounts
from stillwatch.ingest.exchange_keys import EXCHANGE_KEY, exchange_keys, with_exchange_keys
from stillwatch.ingest.fieldmap import FieldMap, load_field_map
from stillwatch.ingest.files import input_files
from stillwatch.ingest.keys import Key
from stillwatch.ingest.reading import Batch, exchanges
from stillwatch.ingest.sniffing import formats, is_parquet
from stillwatch.ingest.tables import TableColumns, table_columns, table_exchanges

__all__ = [
    "EXCHANGE_KEY",
    "Batch",
    "FieldMap",
    "Key",
    "TableColumns",
    "accounts",
    "exchange_keys",
    "exchanges",
    "formats",
    "input_files",
    "is_parquet",
    "load_field_map",
    "table_columns",
    "table_exchanges",
    "told_accounts",
    "with_exchange_keys",
]
