"""The page of the rule says what the code does: the reasons, and the order of the steps."""

import re

import pytest

from xphotfn.records.left_out import REASONS
from xphotfn.science.identity import decide


@pytest.fixture(scope="module")
def page(project_root):
    return (project_root / "docs" / "which-file.md").read_text(encoding="utf-8")


def test_the_table_of_reasons_is_that_of_the_code(page):
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows == dict(REASONS)


def test_the_steps_of_the_rule_stand_in_their_order(page):
    steps = re.findall(r"^\d\. `([a-z_]+)`:", page, re.MULTILINE)
    assert steps == ["not_preferred", "same", "second_choice", "other_grid", "narrower", "undecided"]
    written = re.findall(r"^    (\d)\. ", decide.__doc__, re.MULTILINE)
    assert len(written) == len(steps)
