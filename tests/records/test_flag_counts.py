"""A list tells its flags in words."""

from attrs import evolve

from xphotfn.records.source import SourceFlag
from xphotfn.testing.examples import example_source_list


def test_a_list_counts_its_flags():
    """A list of artefacts has nothing that is expected to be chance: the flags say what it is."""
    flags = (SourceFlag.HOT_COLUMN | SourceFlag.AT_EDGE, SourceFlag.HOT_COLUMN, 0)
    plain = example_source_list()
    flagged = evolve(plain, sources=[evolve(s, flags=f) for s, f in zip(plain, flags, strict=True)])
    assert str(flagged) == f"{plain}; 1 of them flagged AT_EDGE, 2 of them flagged HOT_COLUMN"
