"""Sizes of chunks and tiles, from the data's shape and dtype."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

# All sizes below were tuned on Zen 4, two cores. Rows and columns are meant as stored, unless they are said to be wide.

# C-ordered rows. Short rows are taken in tiles: each tile ends with a wait for its probabilities. Longer rows are
# scored a few at a time and added from the first-level cache, so that the processor prefetches without a break. Still
# longer rows take tiles from the second-level cache: frequent changes between scoring and adding would cost more.
_SHORT_BYTES = 240  # most of a short row
_PAIR_BYTES = range(1100, 3601)  # of a row that is taken by pairs
_EIGHT_WIDE_BYTES = 4096  # most of a row, once wide, that is taken by eights
_SHORT_TILE_BYTES = 8 * 1024  # of a tile of short rows
_LONG_TILE_BYTES = 256 * 1024  # of a tile of other rows
_MAX_TILE_ROWS = 64
# Tiles for several classes fit the first-level cache. They are whole vectors, since lanes without a row may hold
# subnormals, which are slow to compute with.
_CLASS_TILE_BYTES = 16 * 1024
_LEAST_CLASS_ROWS = 16
# F-ordered rows.
_COLUMN_TILE_BYTES = 2 * 1024 * 1024
_MAX_COLUMN_ROWS = 1024  # of a tile
_MIN_COLUMN_ROWS = 128  # of a tile, and of a chunk
_SEVERAL_COLUMN_ROWS = 512  # least of a chunk where there are more than two
# Chunks of a batch: a barrier costs about as much time as reading the bytes of one.
_CHUNK_BYTES = 64 * 1024  # least of a chunk
_NARROW_FEATURES = 32  # most of narrow rows, which take longer to compute with than to read
_NARROW_CHUNK_BYTES = 32 * 1024  # least of a chunk of these
_SHUFFLED_CHUNK_BYTES = 16 * 1024  # least of a chunk of shuffled rows, which take several times as long to read
_MIN_CHUNK_ROWS = 16
_SEVERAL_CHUNK_ROWS = 128  # least of a chunk where there are more than two, since each member adds all chunks' sums
_MAX_CHUNKS = 16
_MAX_WORK_BYTES = 8 * 1024 * 1024  # of all chunks' sums and gradients together
# Batches of F-ordered rows that are trained on in a transposed copy, see `turned`.
_MAX_TURNED_BATCH = 64  # rows of a batch
_MAX_TURNED_ROWS = 512  # rows of a copy
_TURNED_BYTES = 2 * 1024 * 1024  # most of a copy
LEAST_TURNED_FEATURES = 16
# Batches of F-ordered rows whose features are shared out, see `features_walk`. One thread reads them at 0.6 to 0.9 of a
# transposed copy's rate, two threads at 1.3 to 1.8 times that rate.
_LEAST_RUN_BYTES = 256  # of a column in a batch
_LEAST_WIDE_RUN_BYTES = 128  # the same for rows of at least so many features:
_WIDE_FEATURES = 512
LEAST_SHARED_FEATURES = 64
# Ways to take rows, see `tile`.
TILES, PAIRS, EIGHTS = range(3)
# Rows summed in the data's own precision before the sum is added to a float64 sum.
FOLD_ROWS = 256


class Tiles(NamedTuple):
    """How the rows of a chunk are taken: so many at a time, in one of the three ways of `tile`."""

    rows: int
    way: int


class Plan(NamedTuple):
    """Sizes for the walk through a batch."""

    tiles: Tiles
    n_chunks: int  # of a batch
    turned_rows: int = 0  # of a transposed copy that is trained on, see `turned`; 0 for none
    n_parts: int = 1  # of the features, where members share out features, see `features_walk`
    is_small: bool = False  # whether a batch's sums are used at once, see `small_walk`

    @property
    def block_rows(self) -> int:
        """Number of rows summed in the data's own precision: whole tiles."""
        return max(FOLD_ROWS, self.tiles.rows)


def plan(batch_size: int, rows: NDArray[Any], shuffled: bool = False, ruled: bool = False) -> Plan:
    """Choose tiles and chunks for mini-batches of `batch_size` rows; `rows` are (m, n) or packed.

    `ruled` says that the fit has an update rule or weights of samples. Transposed copies, shared features and small
    batches support neither.
    """
    n_features = rows.shape[1]
    row_bytes = n_features * rows.itemsize
    wide_bytes = n_features * max(4, rows.itemsize)
    if rows.ndim == 3 or rows.flags.c_contiguous:
        tiles = Tiles(_MAX_TILE_ROWS, TILES) if rows.ndim == 3 else row_tiles(row_bytes, wide_bytes)
        chunk_rows, several_rows = _MIN_CHUNK_ROWS, _SEVERAL_CHUNK_ROWS
        chunk_bytes = _NARROW_CHUNK_BYTES if n_features <= _NARROW_FEATURES else _CHUNK_BYTES
    else:
        tile_rows = max(_MIN_COLUMN_ROWS, min(_MAX_COLUMN_ROWS, _COLUMN_TILE_BYTES // row_bytes))
        tiles = Tiles(tile_rows - tile_rows % _MIN_COLUMN_ROWS, TILES)
        chunk_rows, several_rows = _MIN_COLUMN_ROWS, _SEVERAL_COLUMN_ROWS
        chunk_bytes = _CHUNK_BYTES
    work_bytes = (n_features + 2) * 24
    limit = min(
        _MAX_CHUNKS,
        batch_size * row_bytes // (_SHUFFLED_CHUNK_BYTES if shuffled else chunk_bytes),
        batch_size // chunk_rows,
        max(2, batch_size // several_rows),
        max(2, _MAX_WORK_BYTES // work_bytes),
    )
    n_chunks = 1 << max(0, limit.bit_length() - 1)  # threads share out a power of two evenly
    turned_rows = 0
    by_column = not (rows.flags.c_contiguous or shuffled or ruled)
    if by_column and n_features >= LEAST_SHARED_FEATURES and batch_size <= FOLD_ROWS:
        run_bytes = _LEAST_WIDE_RUN_BYTES if n_features >= _WIDE_FEATURES else _LEAST_RUN_BYTES
        if run_bytes <= batch_size * rows.itemsize:
            n_parts = min(_MAX_CHUNKS, 2 * n_features // LEAST_SHARED_FEATURES)
            return Plan(Tiles(batch_size, TILES), 1, n_parts=1 << (n_parts.bit_length() - 1))
    if by_column and n_features >= LEAST_TURNED_FEATURES and n_chunks == 1 and batch_size <= _MAX_TURNED_BATCH:
        turned_rows = max(1, min(_MAX_TURNED_ROWS, _TURNED_BYTES // row_bytes) // batch_size) * batch_size
        tiles = row_tiles(wide_bytes, wide_bytes)
    return Plan(tiles, n_chunks, turned_rows, is_small=n_chunks == 1 and batch_size <= FOLD_ROWS and not ruled)


def class_plan(batch_size: int, rows: NDArray[Any], n_classes: int, shuffled: bool) -> Plan:
    """As `plan`, for several classes, which read a tile once for each pair of classes.

    The number of chunks is limited further: each class has sums and a gradient for each chunk.
    """
    cut = plan(batch_size, rows, shuffled, ruled=True)
    row_bytes = rows.shape[1] * rows.itemsize
    tile_rows = cut.tiles.rows
    if rows.flags.c_contiguous:
        tile_rows = max(_LEAST_CLASS_ROWS, min(_MAX_TILE_ROWS, _CLASS_TILE_BYTES // row_bytes))
        tile_rows -= tile_rows % _LEAST_CLASS_ROWS
    limit = max(2, _MAX_WORK_BYTES // (rows.shape[1] * n_classes * 16))
    return Plan(Tiles(tile_rows, TILES), min(cut.n_chunks, 1 << (limit.bit_length() - 1)))


def row_tiles(row_bytes: int, wide_bytes: int) -> Tiles:
    """Tiles of C-ordered rows; `row_bytes` of a row as stored, `wide_bytes` of a row widened."""
    if row_bytes <= _SHORT_BYTES:
        return Tiles(min(_MAX_TILE_ROWS, _SHORT_TILE_BYTES // row_bytes // 8 * 8), TILES)
    if row_bytes == wide_bytes and row_bytes in _PAIR_BYTES:
        return Tiles(2, PAIRS)
    if wide_bytes <= _EIGHT_WIDE_BYTES:
        return Tiles(8, EIGHTS)
    return Tiles(min(_MAX_TILE_ROWS, max(8, _LONG_TILE_BYTES // row_bytes // 8 * 8)), TILES)
