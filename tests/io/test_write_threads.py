"""Publishing files from many threads: the umask of the process is never touched."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from xphotfn.io.write import publish


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_files_follow_the_umask_and_leave_it_alone(tmp_path, mask, monkeypatch):
    before = os.umask(mask)
    try:
        monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask is the whole process's"))

        def write(number):
            with publish(tmp_path / f"{number}.txt") as temporary:
                temporary.write_text(str(number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(64)))
    finally:
        monkeypatch.undo()
        assert os.umask(before) == mask
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}
    assert sorted(int(path.read_text()) for path in tmp_path.iterdir()) == list(range(64))
