"""SAS commands as data: what would run, written down before anything runs.

Each builder carries the name of its SAS task and returns a frozen :class:`Command`, whose ``argv`` is a tuple. Engines
execute Commands; nothing here looks at a disk, a clock or the environment. :func:`resolved` adds what SAS would take by
default, :func:`parse_xproc` and :func:`to_card` read and write the record of a command that SAS leaves in its products,
:func:`parse_messages` reads what a task has printed, and :func:`product_name` and its kin name the files.

Examples
--------
>>> from xphotfn.commands import evselect_image, selection_expression
>>> events = selection_expression(500, 2000, "pn", filtered=True)
>>> evselect_image("pn_evts.fits", "pn_img.fits", expression=events).outputs
('pn_img.fits',)
"""

from typing import TYPE_CHECKING, Any

from xphotfn.commands.builders import eexpmap, emosaic, evselect_image
from xphotfn.commands.command import Command
from xphotfn.commands.default_selection import pi_channel, selection_expression
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.messages import SasMessage, parse_messages, sas_version, suppressed_warnings
from xphotfn.commands.names import (
    MosaicName,
    PpsName,
    ProductName,
    attitude_name,
    ccf_name,
    mosaic_name,
    parse_mosaic_name,
    parse_pps_name,
    parse_product_name,
    product_name,
    source_list_name,
)
from xphotfn.commands.own_times import flarecut, gtiwrite
from xphotfn.commands.parameters import TASKS, checked, parameters_of, resolved
from xphotfn.commands.preparation import atthkgen, cifbuild, odfingest, with_environment
from xphotfn.commands.source_detection import xdetect, xdetectadd, xdetectjoin
from xphotfn.commands.task_rows import Parameter, Task, loaded
from xphotfn.commands.timing import evselect_list, evselect_rate, gtibuild, tabgtigen
from xphotfn.commands.xproc import card_version, parse_xproc, to_card

__all__ = (
    "TASKS",
    "XCS_GRID",
    "Command",
    "ImageGrid",
    "MosaicName",
    "Parameter",
    "PpsName",
    "ProductName",
    "SasMessage",
    "Task",
    "atthkgen",
    "attitude_name",
    "card_version",
    "ccf_name",
    "checked",
    "cifbuild",
    "eexpmap",
    "emosaic",
    "evselect_image",
    "evselect_list",
    "evselect_rate",
    "flarecut",
    "gtibuild",
    "gtiwrite",
    "mosaic_name",
    "odfingest",
    "parameters_of",
    "parse_messages",
    "parse_mosaic_name",
    "parse_pps_name",
    "parse_product_name",
    "parse_xproc",
    "pi_channel",
    "product_name",
    "resolved",
    "sas_version",
    "selection_expression",
    "source_list_name",
    "suppressed_warnings",
    "tabgtigen",
    "to_card",
    "with_environment",
    "xdetect",
    "xdetectadd",
    "xdetectjoin",
)

if not TYPE_CHECKING:  # a builder that stands above has its type too

    def __getattr__(name: str) -> Any:
        """Return the builder of a task by its name: those of `TASKS` are all here."""
        for place in (place for task in TASKS.values() for place in task.builders):
            if place.endswith(f":{name}"):
                return loaded(__name__, place)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
