"""Region files that were made to hurt: long lines take a time that grows with their length, large files are refused."""

import threading
import time
import warnings

import pytest

from xphotfn.errors import InvalidFile
from xphotfn.io import regions
from xphotfn.io.regions import read_region_file, read_regions

LONG = 32_000
LINES = {
    "braces that open": "circle(1,1,1) # " + "{" * LONG,
    "quotes": "circle(1,1,1) # " + "'\"" * (LONG // 2),
    "a word": "circle(1,1,1) # " + "a" * LONG,
    "words without values": "circle(1,1,1) # " + "a " * (LONG // 2),
    "blanks before =": "circle(1,1,1) # a" + " " * LONG + "b",
    "statements": "circle(1,1,1)" + ";" * LONG,
    "shapes of one letter": "x;" * (LONG // 2),
    "a name of a shape": "c" * LONG + "(",
    "parentheses": "circle(" * (LONG // 7),
    "a number": "circle(" + "1" * LONG + "x,1,1)",
    "a number with a fraction": "circle(1." + "1" * LONG + "x,1,1)",
    "an exponent": "circle(1e" + "1" * LONG + ",1,1)",
    "arguments": "circle(" + "1," * (LONG // 2) + "1)",
    "blanks": " " * LONG + "circle",
    "names of images": "# filename" + " " * LONG,
    "global": "global " * (LONG // 7),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_long_line_is_read_or_refused_at_once(tmp_path, line):
    path = tmp_path / "long.reg"
    path.write_text(f"image\n{line}\n")
    start = time.process_time()
    said = ""
    try:
        read_region_file(path)
    except InvalidFile as error:
        said = str(error)
    assert len(said) < 1000
    assert time.process_time() - start < 1.0  # a minute and more before; 0.02 now


def test_a_polygon_of_many_corners_is_read(tmp_path):
    path = tmp_path / "polygon.reg"
    corners = ",".join(f"{i % 100}.5,{i // 100}.25" for i in range(20_000))
    path.write_text(f"image\npolygon({corners}) # color=red text={{a; b}}")
    (region,) = read_regions(path)
    assert (len(region.vertices), region.colour, region.name) == (20_000, "red", "a; b")


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(regions, "MOST_TEXT", 1000)
    path = tmp_path / "large.reg"
    path.write_text("image\n" + "circle(1,1,1)\n" * 100)
    with pytest.raises(InvalidFile, match="is larger than 1000 bytes"):
        read_regions(path)


def test_reading_leaves_the_warnings_of_other_threads_alone(tmp_path):
    path = tmp_path / "some.reg"
    path.write_text("fk5\n" + 'ellipse(149.5,-11.1,30",20",40) # color=red\n' * 200)
    filters = list(warnings.filters)
    changed, done = [], threading.Event()

    def watch():
        while not done.is_set():
            if warnings.filters != filters:
                changed.append(list(warnings.filters))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(20):
            read_regions(path)
    finally:
        done.set()
        thread.join()
    assert not changed
