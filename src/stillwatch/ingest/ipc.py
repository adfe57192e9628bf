"""Whether an Arrow IPC stream has compressed buffers, told from its metadata before anything is allocated.

Why:    a compressed buffer says itself how large it becomes, and readers believe it.
Misses: nothing that the format can say; a message that is damaged is left to the reader, which refuses it.
Source: Apache Arrow, "Serialization and Interprocess Communication", and Message.fbs: a message is a FlatBuffers table
        (version, header type, header, body length); a record batch is (length, nodes, buffers, compression, ...).
"""

import struct

import pyarrow as pa

_DICTIONARY, _RECORD = 2, 3  # header types of Message.fbs
_HEADER_TYPE, _HEADER, _DATA, _COMPRESSION = 1, 2, 1, 3  # positions of fields in their tables


def is_compressed(content: bytes) -> bool:
    """Whether a batch of the stream, or a dictionary of it, is compressed.

    Raises:
        ArrowInvalid: a message is cut off.
        ValueError: a message is no FlatBuffers table.
    """
    reader = pa.ipc.MessageReader.open_stream(content)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return False
        if _has_compression(message.metadata.to_pybytes()):
            return True


def _has_compression(metadata: bytes) -> bool:
    try:
        message = _int("<I", metadata, 0)
        kind_at, header = _field(metadata, message, _HEADER_TYPE), _table(metadata, message, _HEADER)
        kind = metadata[kind_at] if kind_at else 0
        batch = _table(metadata, header, _DATA) if kind == _DICTIONARY and header else header
        return kind in (_DICTIONARY, _RECORD) and bool(batch and _field(metadata, batch, _COMPRESSION))
    except (struct.error, IndexError) as error:
        raise ValueError("a message without its parts") from error


def _table(metadata: bytes, table: int, position: int) -> int:
    """Where the table stands that a field refers to; 0 when the field is not there."""
    at = _field(metadata, table, position)
    return at + _int("<I", metadata, at) if at else 0


def _field(metadata: bytes, table: int, position: int) -> int:
    """Where a field of a table stands; 0 when it is not there."""
    names = table - _int("<i", metadata, table)
    if 4 + 2 * position >= _int("<H", metadata, names):
        return 0
    offset = _int("<H", metadata, names + 4 + 2 * position)
    return table + offset if offset else 0


def _int(form: str, metadata: bytes, at: int) -> int:
    if at < 0:
        raise IndexError(at)
    return int(struct.unpack_from(form, metadata, at)[0])
