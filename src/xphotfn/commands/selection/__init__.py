"""The selection language of SAS (selectlib): expressions as immutable trees.

``parse`` reads text, ``to_text`` writes it, ``columns`` and ``named_files`` say what an expression needs,
``expand_macros`` replaces ``#NAME`` from a header. Nothing here looks at events: the interpreter is
:mod:`xphotfn.epic.selecting.evaluate`.
"""

from xphotfn.commands.selection.macros import expand_macros
from xphotfn.commands.selection.named import file_specs, named_files, with_file_specs, with_region_columns
from xphotfn.commands.selection.nodes import (
    Boolean,
    Call,
    Chain,
    Column,
    Exactly,
    Expression,
    FileFilter,
    GtiFilter,
    Integer,
    Item,
    MaskFilter,
    Membership,
    Range,
    Real,
    RegionFilter,
    Symbol,
    Unary,
)
from xphotfn.commands.selection.parser import parse
from xphotfn.commands.selection.printer import columns, locate, parts_of, to_text, walk
from xphotfn.commands.selection.specs import split_spec

__all__ = (
    "Boolean",
    "Call",
    "Chain",
    "Column",
    "Exactly",
    "Expression",
    "FileFilter",
    "GtiFilter",
    "Integer",
    "Item",
    "MaskFilter",
    "Membership",
    "Range",
    "Real",
    "RegionFilter",
    "Symbol",
    "Unary",
    "columns",
    "expand_macros",
    "file_specs",
    "locate",
    "named_files",
    "parse",
    "parts_of",
    "split_spec",
    "to_text",
    "walk",
    "with_file_specs",
    "with_region_columns",
)
