"""Arrow files that can be read from any place in them; streams are copied into such a file first, batch by batch."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ..errors import storage_error
from .encoding import FileState

_MAGIC = b"ARROW1"


def in_file_format(path: Path, folder: Path) -> Path:
    """Return `path` if it is an Arrow file, or a copy of its stream in `folder`; pa.ArrowInvalid if it is neither."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            return path
    state = FileState.of(path)
    copy = folder / f"{abs(hash(state)):x}-{path.stem}.arrow"
    if copy.exists():
        return copy
    part = copy.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            pa.memory_map(str(path)) as source,
            pa.ipc.open_stream(source) as stream,
            pa.OSFile(str(part), "wb") as target,
            pa.ipc.new_file(target, stream.schema) as writer,
        ):
            for batch in stream:
                writer.write_batch(batch)
        part.replace(copy)
    except pa.ArrowInvalid:
        raise
    except OSError as error:
        raise storage_error(error, copy, needed=state.size) from error
    finally:
        part.unlink(missing_ok=True)
    return copy
