"""Tables of Arrow and Parquet; the package that reads them comes with the extra ``formats``."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from world_models.data import DataError

PARQUET = ".parquet"


def arrow() -> ModuleType:
    """The package pyarrow.

    Raises:
        DataError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("this format needs pyarrow: pip install 'waymark[formats]'") from error
    return pyarrow


def read_table(path: Path, columns: list[str] | None = None) -> Any:
    """A ``pyarrow.Table``: those of some columns that a Parquet file has, or a whole file of Arrow.

    Raises:
        DataError: it is no such file.
        OSError: it cannot be read.
    """
    pa = arrow()
    try:
        if path.suffix == PARQUET:
            with pa.parquet.ParquetFile(path) as file:
                there = set(file.schema_arrow.names)
                return file.read(None if columns is None else [name for name in columns if name in there])
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_file(file).read_all()
    except pa.ArrowInvalid as error:
        raise DataError(f"{path.name} is no readable table: {error}") from error


def to_array(column: Any) -> NDArray[Any]:
    """A column of numbers as ``[T]``, a column of equally long lists of them as ``[T, X]``.

    Raises:
        DataError: it holds something else, or lists differ in length.
    """
    pa = arrow()
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    rows, listed = len(values), False
    while pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        values, listed = values.flatten(), True
    numbers = np.asarray(values.to_numpy(zero_copy_only=False))
    if numbers.dtype.kind not in "fiub" or (rows and len(numbers) % rows):
        raise DataError(f"a column must hold numbers, or lists of as many numbers each, got {column.type}")
    return numbers.reshape(rows, -1) if listed and rows else numbers
