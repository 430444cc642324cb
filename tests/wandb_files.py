"""The content of the files that Weights & Biases writes offline."""

import struct


def wandb_history(path):
    """The rows of a .wandb file: records of LevelDB's log format in blocks of 32 KiB."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # its service may still be writing

    raw, place, parts, rows = path.read_bytes(), 7, b"", {}
    while place + 7 <= len(raw):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        size, kind = struct.unpack("<HB", raw[place + 4 : place + 7])
        parts += raw[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # the whole record, or its last part
            record = Record.FromString(parts)
            parts = b""
            if record.WhichOneof("record_type") == "history":
                items = {
                    item.key or "/".join(item.nested_key): item.value_json
                    for item in record.history.item
                }
                rows[record.history.step.num] = {
                    key: float(value) for key, value in items.items() if "/" in key
                }
    return rows
