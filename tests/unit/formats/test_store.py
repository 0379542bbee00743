"""The temporary store of counts."""

from pathlib import Path

import numpy as np
import pytest

from methmix.formats.store import CountsStore


def test_samples_come_back_in_blocks_of_any_size(rng):
    values = rng.random((2, 7, 1500)).astype(np.float32)
    with CountsStore(1500) as store:
        assert list(store.blocks(3)) == []
        store.append(values[0, :3], values[1, :3])
        store.append(values[0, :0], values[1, :0])
        assert store.append(values[0, 3:], values[1, 3:]) == slice(3, 7)
        assert len(store) == 7
        for size in (1, 2, 7, 100):
            for number in (0, 1):
                found = np.concatenate([block[number] for block in store.blocks(size)])
                np.testing.assert_array_equal(found, values[number])
        assert [len(block[0]) for block in store.blocks(3)] == [3, 3, 1]


def test_what_was_not_written_is_no_reads():
    with CountsStore(5, np.int32) as store:
        store.extend(2)
        rows = store.extend(3)
        store.mapped(rows)[1, :, 2] = 4, 9
        methylated, depth = store.read(slice(0, 5))
        assert methylated.dtype == np.int32
        assert np.argwhere(depth).tolist() == [[3, 2]]
        assert (methylated[3, 2], depth[3, 2]) == (4, 9)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with CountsStore(5) as store:
        store.append(np.ones((2, 5)), np.ones((2, 5)))
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        store.read(slice(0, 1))


def test_memory_does_not_grow_with_the_samples():
    def mapped() -> int:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssFile"))

    block = np.ones((10, 100_000), dtype=np.float32)
    with CountsStore(100_000) as store:
        before = mapped()
        for _ in range(30):
            store.append(block, block)
        for _ in store.blocks(10):
            assert mapped() - before < 3 * 2 * block.nbytes / 1024
        assert len(store) * 800_000 > 20 * 2 * block.nbytes
