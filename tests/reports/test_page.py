"""A long report: its table goes on on further pages, and its pictures are in several folders."""

import re

import pytest

import xphotfn as xp
from xphotfn.reports import index_page as report_index, site as writer
from xphotfn.testing.examples import example_run


@pytest.fixture
def two_bands(tmp_path):
    """A run of one target in two bands, whose table has two rows."""
    from attrs import evolve

    run = example_run()
    fields = [
        evolve(f, target=evolve(f.target, name=name)) for f in run.plan.fields for name in ("one", "two", "three")
    ]
    products = [evolve(p, field_name=f.name) for f in fields for p in run.plan.products]
    return evolve(run, plan=evolve(run.plan, fields=sorted(fields, key=lambda f: f.name), products=products))


def test_a_long_table_goes_on_on_further_pages(two_bands, tmp_path, monkeypatch):
    for module in (writer, report_index):
        monkeypatch.setattr(module, "MOST_ROWS", 2)
    first = xp.report(two_bands, tmp_path / "r", progress=False)
    pages = sorted(p.name for p in first.parent.glob("*.html"))
    assert pages == ["index-2.html", "index.html"]
    texts = [(first.parent / name).read_text() for name in ("index.html", "index-2.html")]
    rows = [re.findall(r'<th[^>]*scope="row"[^>]*class="name"[^>]*><a[^>]*>(\w+)</a>', text) for text in texts]
    assert [len(r) for r in rows] == [2, 1]
    assert sorted(rows[0] + rows[1]) == ["one", "three", "two"]
    assert 'href="index-2.html"' in texts[0]
    assert "Rows 3 to 3 of 3" in texts[1]
    assert ("Provenance" in texts[0], "Provenance" in texts[1]) == (True, False)
    assert len((first.parent / "targets.csv").read_text().splitlines()) == 4
    for page in first.parent.rglob("*.html"):
        for file in re.findall(r'src="([^"]*png)"', page.read_text()):
            assert (page.parent / file).is_file(), file
    folders = [p.name for p in (first.parent / "pictures").iterdir()]
    assert sorted(folders) == ["0000", "0001"]


def test_a_short_one_is_one_page(two_bands, tmp_path):
    first = xp.report(two_bands, tmp_path / "r", progress=False)
    assert [p.name for p in first.parent.glob("*.html")] == ["index.html"]
    assert "Rows 1 to" not in first.read_text()
    assert all(p.is_file() for p in (first.parent / "pictures").iterdir())
