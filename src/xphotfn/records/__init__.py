"""Nouns only: frozen records with validation, no files and no arithmetic beyond checks."""

from xphotfn.records.band import Band, energy_band
from xphotfn.records.energies import Energies, PiRanges
from xphotfn.records.field import Field, FieldObservation, with_centre
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import INSTRUMENTS, Instrument, instrument
from xphotfn.records.measurement import Centre, Measurement, Peak
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.records.region import Region
from xphotfn.records.target import (
    CosmologyParameters,
    Radius,
    Target,
    extended_source,
    galaxy_cluster,
    point_source,
)

__all__ = (
    "INSTRUMENTS",
    "Band",
    "Centre",
    "CosmologyParameters",
    "Energies",
    "Exposure",
    "Field",
    "FieldObservation",
    "FoundFile",
    "FoundProduct",
    "Instrument",
    "Measurement",
    "Observation",
    "Peak",
    "PiRanges",
    "PixelGrid",
    "Radius",
    "Region",
    "Target",
    "energy_band",
    "extended_source",
    "galaxy_cluster",
    "instrument",
    "point_source",
    "with_centre",
)
