"""One contract for every record: equality, hash, pickle, evolve, repr, frozen, and plain values only.

A new record needs one line in ``CASES``: its class, a strategy, and a change that one of its rules refuses
(None where it has no rule).
"""

import importlib
import json
import os
import pickle
import pkgutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from itertools import permutations
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import Phase, given, settings, strategies as st

import xphotfn
from xphotfn.commands.builders import emosaic
from xphotfn.commands.command import Command
from xphotfn.commands.dss import Bounds, DssFilter
from xphotfn.commands.image_grid import ImageGrid
from xphotfn.commands.messages import SasMessage
from xphotfn.commands.names import MosaicName, PpsName, ProductName
from xphotfn.commands.parameters import TASKS
from xphotfn.commands.selection import nodes
from xphotfn.commands.step import Step, StepInput
from xphotfn.commands.task_rows import Parameter, Task
from xphotfn.errors import XphotfnError
from xphotfn.graph.compare import PlanDiff, StepChange
from xphotfn.graph.event_mosaics import BinnedList, EventMosaic
from xphotfn.graph.flare_steps import FlareChoice, GoodTimePart
from xphotfn.graph.plan import Plan, PlannedProduct
from xphotfn.graph.product_steps import Part, Wish
from xphotfn.graph.result import Run
from xphotfn.io.find import Inventory
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.records.band import Band
from xphotfn.records.column_density import ColumnDensity
from xphotfn.records.ecf import Ecf
from xphotfn.records.energies import ALL_PI, NO_PI, Energies, PiRanges
from xphotfn.records.event import StepEvent
from xphotfn.records.facts import FileFacts
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.grid import PROJECTIONS, PixelGrid
from xphotfn.records.instrument import Instrument
from xphotfn.records.left_out import FieldNote, LeftOut
from xphotfn.records.light_curve import FlareCut, InOut, LightCurve
from xphotfn.records.measurement import Centre, Measurement, Peak
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.records.outcome import Done, Failed, Output, Skipped
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, SpectrumTable
from xphotfn.records.subspace import Subspace
from xphotfn.records.target import CosmologyParameters, Radius, Target
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.detection.settings import SourceSearch
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.science.king import EPIC_KING, KingModel
from xphotfn.science.live_fraction import LiveFraction
from xphotfn.science.matching import Sorted
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.science.significance import SIGNIFICANCES
from xphotfn.science.snr_methods import CountsMethod, XGAMethod
from xphotfn.science.vignetting import VignettingTable
from xphotfn.store.record_json import from_plain, to_plain
from xphotfn.testing import strategies as xst

WORDS = st.sampled_from(("a", "b", "evts", "img"))
NUMBERS = st.floats(-100, 100)
WHOLE = st.integers(0, 1000)
FLAGS = st.booleans()
TEXTS = st.text(max_size=5)
OBS_IDS = st.sampled_from(("0404910601", "0201903501"))
CAMERAS = st.sampled_from(("pn", "mos1", "mos2"))
FILES = st.builds(FoundFile, path=WORDS, size=WHOLE, mtime_ns=WHOLE)
PRODUCTS = st.builds(
    FoundProduct,
    kind=st.sampled_from(("image", "exposure_map")),
    band=xst.bands(),
    grid=xst.grids(),
    file=FILES,
    subspace=xst.subspaces(),
    whole_list=st.booleans(),
)
OUTPUTS = st.builds(Output, name=WORDS, path=WORDS, digest=WORDS)
PI_RANGES = st.builds(
    lambda bands, floor: PiRanges(ranges=[(b.lo_ev, b.hi_ev) for b in bands] + [(floor, None)] * (floor is not None)),
    st.lists(xst.bands(), max_size=2),
    st.none() | WHOLE,
)
BOUNDS = st.builds(Bounds, lo=st.none() | NUMBERS, hi=st.none() | NUMBERS, lo_closed=FLAGS, hi_closed=FLAGS)
FILTERS = st.builds(
    DssFilter,
    axis=WORDS,
    kind=st.sampled_from(("range", "mask", "table")),
    value=WORDS,
    unit=WORDS,
    table=WORDS,
    intervals=st.none() | st.lists(st.tuples(NUMBERS, NUMBERS), max_size=2).map(tuple),
    slot=WHOLE,
    place=st.none() | WORDS,
)
SIZES = st.lists(st.floats(0.1, 10), min_size=1, max_size=2).map(tuple)
GRID = PixelGrid.from_sky_range(149.6, -11.1)
BAND = Band(lo_ev=500, hi_ev=2000)
ONE_IMAGE = {"obs_id": st.just("0404910601"), "instrument": st.just("pn"), "band": st.just(BAND), "grid": st.just(GRID)}
RATE_MAPS_OF_ONE_IMAGE = st.builds(
    RateMap,
    image=st.builds(Image, path=WORDS, **ONE_IMAGE),
    exposure=st.builds(ExposureMap, path=WORDS, **ONE_IMAGE),
)

LEAVES = st.builds(nodes.Integer, value=WHOLE) | st.builds(nodes.Column, name=st.sampled_from(("PI", "TIME", "X")))
ITEMS = st.builds(nodes.Exactly, value=LEAVES) | st.builds(nodes.Range, lo=LEAVES, hi=LEAVES)
FLARES = st.builds(
    FlareChoice,
    kind=st.sampled_from(("auto", "keep", "quiet")),
    expression=st.sampled_from(("", "RATE<=0.4")),
    good=xst.good_times(),
    joint=FLAGS,
)
MOSAICS_OF_EVENTS = xst.event_mosaics()
BINNED = st.builds(lambda m, cut: attrs.evolve(m.lists[0], flares=cut), MOSAICS_OF_EVENTS, st.none() | xst.flare_cuts())
NOTED_MOSAICS = st.builds(lambda m, said: attrs.evolve(m, notes=said), MOSAICS_OF_EVENTS, st.lists(WORDS))
SPECS = st.sampled_from(("gti.fits", "mask.fits", "region.fits:REGION"))


@attrs.frozen(kw_only=True)
class Case:
    """A record to test.

    ``relatives`` draws records of which any field may be put into any other, where the strategy's own seldom fit.
    ``holds_arrays`` marks the few tables of numbers: their arrays are read-only, compared by value and left out of
    hash and repr, and no store keeps them.
    """

    record: type
    strategy: st.SearchStrategy
    invalid: dict[str, Any] | None
    relatives: st.SearchStrategy = attrs.field(default=attrs.Factory(lambda self: self.strategy, takes_self=True))
    examples: int = 60
    holds_arrays: bool = False


def case(record, strategy, invalid, **options):
    return Case(record=record, strategy=strategy, invalid=invalid, **options)


RECORDS = (
    case(Band, xst.bands(), {"hi_ev": 0}),
    case(PowerLaw, xst.spectra(kind=PowerLaw), {"nh_cm2": -1.0}),
    case(Bremsstrahlung, xst.spectra(kind=Bremsstrahlung), {"kt_kev": 0.0}),
    case(SpectrumTable, xst.spectra(kind=SpectrumTable), {"photons": ()}),
    case(ColumnDensity, xst.column_densities(), {"low_cm2": -1.0}),
    case(Ecf, xst.ecfs(), {"absorbed": None}),
    case(PiRanges, PI_RANGES, {"ranges": [(2, 1)]}),
    case(
        Energies,
        st.builds(
            lambda a, b, unread: Energies(everywhere=a & b, somewhere=a, unread=unread), PI_RANGES, PI_RANGES, FLAGS
        ),
        {"everywhere": ALL_PI, "somewhere": NO_PI},
        examples=200,
    ),
    case(
        Instrument,
        st.builds(
            Instrument,
            name=WORDS,
            sas_name=WORDS,
            pps_name=WORDS,
            family=st.sampled_from(("pn", "mos")),
            telescope=WORDS,
            ccds=st.integers(1, 12),
            central_ccd=st.integers(1, 12),
            flag_macro=WORDS,
            flag_bits=st.integers(0, 2**31),
            max_pattern=st.integers(0, 12),
        ),
        {"name": " "},
    ),
    case(
        PixelGrid,
        xst.grids(projections=PROJECTIONS),
        {"nx": 0, "projection": "AIT"},
        relatives=xst.grids(sky=True, projections=PROJECTIONS),
    ),
    case(Region, xst.regions(), {"frame": "galactic"}, examples=300),
    case(Radius, st.builds(Radius, value=st.floats(0.1, 9), unit=st.sampled_from(("kpc", "arcmin"))), {"value": 0}),
    case(
        CosmologyParameters,
        st.builds(
            CosmologyParameters,
            kind=st.sampled_from(("FlatLambdaCDM", "LambdaCDM")),
            parameters=st.tuples(st.tuples(st.just("H0"), NUMBERS), st.tuples(st.just("m_nu"), st.tuples(NUMBERS))),
        ),
        {"kind": ""},
    ),
    case(Target, xst.targets(), {"dec_deg": 91.0}),
    case(FoundFile, FILES, {"path": ""}),
    case(Subspace, xst.subspaces(), {"flags": -1}, examples=100),
    case(FieldNote, xst.field_notes(), {"reason": "ugly"}, examples=20),
    case(LeftOut, xst.left_outs(), {"reason": "ugly"}, examples=200),
    case(FileFacts, xst.file_facts(), {"kind": "spectrum"}, examples=300),
    case(Inventory, xst.inventories(), None, examples=100),
    case(FoundProduct, PRODUCTS, {"kind": "spectrum"}),
    case(
        Exposure,
        st.builds(
            Exposure,
            instrument=CAMERAS,
            exposure_id=WORDS,
            filter=TEXTS,
            submode=TEXTS,
            exposure_s=NUMBERS,
            events=st.none() | FILES,
            filtered=FLAGS,
            cut=FLAGS,
            products=st.lists(PRODUCTS, max_size=2),
            flare_curve=st.none() | FILES,
            subspace=xst.subspaces(),
        ),
        {"instrument": "rgs1"},
    ),
    case(Observation, xst.observations(), {"obs_id": "../04910601"}),
    case(FieldObservation, xst.fields(bulk=False).map(lambda field: field.members[0]), None),
    case(Field, xst.fields(), {"members": (), "left_out": ()}, relatives=xst.fields(bulk=False), examples=30),
    case(Measurement, xst.measurements(), {"method": ""}),
    case(Centre, xst.centres(), {"reason": "magic"}),
    case(
        Peak,
        st.builds(Peak, ra_deg=NUMBERS, dec_deg=NUMBERS, near_edge=FLAGS, method=WORDS, converged=FLAGS),
        {"ra_deg": float("nan")},
    ),
    case(GoodTimes, xst.good_times(), {"intervals": ((2.0, 1.0),)}),
    case(LightCurve, xst.light_curves(), {"bin_s": 0.0}, holds_arrays=True),
    case(FlareCut, xst.flare_cuts(), {"goal": "fast"}),
    case(InOut, xst.in_outs(), {"area_ratio": 0.0}),
    case(SearchedMap, xst.source_parts(kind="map"), {"pixel_arcsec": 0.0}, examples=100),
    case(MapRate, xst.source_parts(kind="rate"), {"exposure_s": -1.0}),
    case(DetectedSource, xst.detected_sources(), {"flags": 4096}, examples=300),
    case(DetectedObject, xst.source_parts(kind="object"), {"semi_major_arcsec": 0.0}),
    case(SourceList, xst.source_lists(), {"origin": "XAPA"}, relatives=xst.source_lists(rates=False), examples=100),
    case(Output, OUTPUTS, {"digest": ""}),
    case(
        Done,
        st.builds(
            Done,
            step=WORDS,
            key=WORDS,
            outputs=st.lists(OUTPUTS),
            cached=FLAGS,
            seconds=st.floats(0, 9),
            log=TEXTS,
            warnings=st.lists(WORDS),
        ),
        None,
    ),
    case(
        Failed,
        st.builds(
            Failed,
            step=WORDS,
            reason=TEXTS,
            log=TEXTS,
            host=TEXTS,
            of_machine=st.booleans(),
            interrupted=st.booleans(),
        ),
        None,
    ),
    case(Skipped, st.builds(Skipped, step=WORDS, because=WORDS), None),
    case(
        StepEvent,
        xst.step_events(),
        {"state": "lost"},
    ),
)
SCIENCE = (
    case(
        PixelShape,
        st.builds(
            PixelShape,
            shape=st.sampled_from(("circle", "annulus")),
            x=NUMBERS,
            y=NUMBERS,
            size=SIZES,
            angle_deg=NUMBERS,
            vertices=st.tuples(st.tuples(NUMBERS, NUMBERS)) | st.just(()),
            include=FLAGS,
        ),
        None,
    ),
    case(
        Sorted,
        st.builds(
            Sorted,
            match=st.none() | xst.regions(),
            alternates=xst.region_sets(max_size=2),
            kept=xst.region_sets(max_size=2),
            interlopers=xst.region_sets(max_size=2),
        ),
        None,
    ),
    case(CountsMethod, st.builds(CountsMethod, name=st.sampled_from(tuple(SIGNIFICANCES))), {"name": "xga"}),
    case(
        LiveFraction,
        st.builds(LiveFraction, **dict.fromkeys(("value", "low", "high"), st.floats(0, 1)), maps=st.integers(0, 9)),
        None,
    ),
    case(
        VignettingTable,
        st.builds(
            VignettingTable,
            energies_ev=st.sampled_from(((500.0, 1500.0), (500.0, 2000.0))),
            angles_arcmin=st.sampled_from(((0.0, 5.0, 10.0), (0.0, 5.0, 12.0))),
            factors=st.lists(st.tuples(st.just(1.0), NUMBERS, NUMBERS), min_size=2, max_size=2),
            source=WORDS,
        ),
        {"energies_ev": (2.0, 1.0)},
        holds_arrays=True,
    ),
    case(
        KingModel,
        st.builds(
            KingModel,
            core=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
            slope=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
            systematic=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
            source=WORDS,
        ),
        {"core": (1.0,)},
    ),
    case(
        EllipticalSpread,
        st.builds(
            EllipticalSpread,
            profile=st.sampled_from((EPIC_KING["pn"], EPIC_KING["mos1"])),
            axis_ratios=st.sampled_from((((0.0, 1.0), (12.0, 1.8)), ((3.0, 1.2),))),
        ),
        {"axis_ratios": ((3.0, 0.5),)},
    ),
    case(
        EncircledEnergyTable,
        st.builds(
            EncircledEnergyTable,
            radii_arcsec=st.sampled_from(((5.0, 15.0), (5.0, 20.0))),
            fractions=st.sampled_from(((0.3, 0.7), (0.3, 0.8))),
            systematic=st.floats(0, 1),
            source=WORDS,
        ),
        {"radii_arcsec": (2.0, 1.0)},
        holds_arrays=True,
    ),
    case(XGAMethod, st.builds(XGAMethod, exp_corr=FLAGS, allow_negative=FLAGS), None),
)
COMMANDS = (
    case(Bounds, BOUNDS, None),
    case(DssFilter, FILTERS, None),
    case(Task, st.sampled_from(tuple(TASKS.values())), {"owner": "nobody"}),
    case(
        Command,
        xst.commands().flatmap(
            lambda command: WORDS.map(lambda word: attrs.evolve(command, env=(("SAS_CCF", f"{word}.cif"),)))
        ),
        {"outputs": ("/tmp/img.fits",)},  # noqa: S108 - a path is what must be refused
    ),
    case(
        ImageGrid,
        st.builds(
            ImageGrid,
            x_column=st.sampled_from(("X", "DETX")),
            y_column=st.sampled_from(("Y", "DETY")),
            x_range=st.tuples(st.integers(1, 9), st.integers(10, 99)),
            y_range=st.tuples(st.integers(1, 9), st.integers(10, 99)),
            x_bin=st.integers(1, 99),
            y_bin=st.integers(1, 99),
            x_size=st.integers(1, 99),
            y_size=st.integers(1, 99),
            binning=st.sampled_from(("binSize", "imageSize")),
            square_pixels=st.just(False),
        )
        | st.builds(ImageGrid, x_bin=st.just(80), y_bin=st.just(80)),
        {"x_bin": 0},
    ),
    case(
        Parameter,
        st.builds(
            Parameter,
            name=WORDS,
            kind=st.sampled_from(("str", "int")),
            default=st.none() | WORDS,
            allowed=st.lists(WORDS),
            parent=st.none() | WORDS,
            implied=FLAGS,
            role=st.sampled_from(("", "input")),
        ),
        {"kind": "complex"},
    ),
    case(
        SasMessage,
        st.builds(SasMessage, task=WORDS, severity=st.sampled_from(("error", "warning")), name=WORDS, text=TEXTS),
        {"severity": "fatal"},
    ),
    case(
        ProductName,
        st.builds(
            ProductName,
            obs_id=OBS_IDS,
            instrument=CAMERAS,
            exposure_id=st.sampled_from(("S003", "U002")),
            lo_ev=st.integers(0, 500),
            hi_ev=st.integers(501, 9999),
            kind=st.sampled_from(("img", "expmap")),
        ),
        {"kind": "spectrum"},
    ),
    case(
        MosaicName,
        st.builds(
            MosaicName,
            label=WORDS,
            digest=st.sampled_from(("", "0123456789abcdef")),
            lo_ev=st.integers(0, 500),
            hi_ev=st.integers(501, 9999),
            kind=st.sampled_from(("img", "expmap")),
        ),
        {"label": ".."},
    ),
    case(
        PpsName,
        st.builds(
            PpsName,
            obs_id=OBS_IDS,
            source=st.sampled_from(("PN", "M1")),
            flag=st.sampled_from(("S", "U")),
            exposure=st.sampled_from(("001", "002")),
            product=st.sampled_from(("MIEVLI", "IMAGE_")),
            band=st.sampled_from(("8", "1")),
            number=st.sampled_from(("000", "00A")),
            extension=st.sampled_from(("FTZ", "FIT")),
            gzipped=FLAGS,
        ),
        {"exposure": "1"},
    ),
)
NODES = (
    case(nodes.Integer, st.builds(nodes.Integer, value=WHOLE, base=st.sampled_from((10, 16))), {"value": -1}),
    case(nodes.Real, st.builds(nodes.Real, value=st.floats(0.5, 99)), {"value": float("inf")}),
    case(nodes.Boolean, st.builds(nodes.Boolean, value=FLAGS), None),
    case(nodes.Column, st.builds(nodes.Column, name=st.sampled_from(("PI", "TIME"))), {"name": "in"}),
    case(nodes.Symbol, st.builds(nodes.Symbol, name=st.sampled_from(("PI", "XMMEA_EM"))), {"name": "pi"}),
    case(nodes.Unary, st.builds(nodes.Unary, operator=st.sampled_from("-!"), operand=LEAVES), {"operator": "+"}),
    case(
        nodes.Chain,
        st.builds(nodes.Chain, first=LEAVES, rest=st.lists(st.tuples(st.sampled_from("+-"), LEAVES), min_size=1)),
        {"rest": ()},
    ),
    case(
        nodes.Call,
        st.builds(nodes.Call, function=st.sampled_from(("atan2", "min")), arguments=st.tuples(LEAVES, LEAVES)),
        {"function": "gamma"},
    ),
    case(nodes.Exactly, st.builds(nodes.Exactly, value=LEAVES), None),
    case(
        nodes.Range,
        st.builds(nodes.Range, lo=LEAVES, hi=LEAVES, lo_closed=FLAGS, hi_closed=FLAGS),
        {"lo": None, "lo_closed": False},
    ),
    case(
        nodes.Membership,
        st.builds(nodes.Membership, value=LEAVES, items=st.lists(ITEMS, min_size=1, max_size=3)),
        {"items": ()},
    ),
    case(nodes.GtiFilter, st.builds(nodes.GtiFilter, spec=SPECS, time=LEAVES), {"spec": "a,b"}),
    case(
        nodes.MaskFilter,
        st.builds(nodes.MaskFilter, spec=SPECS, x_offset=LEAVES, y_offset=LEAVES, x=LEAVES, y=LEAVES),
        {"spec": ""},
    ),
    case(nodes.RegionFilter, st.builds(nodes.RegionFilter, spec=SPECS, x=LEAVES, y=LEAVES), {"spec": "("}),
)
INPUTS = st.builds(StepInput, name=WORDS, file=FILES) | st.builds(StepInput, name=WORDS, step=WORDS)
MOSAICS = st.builds(
    Step,
    command=WORDS.map(lambda name: emosaic(["a.fits", "b.fits"], f"m_{name}.fits")),
    inputs=st.tuples(*(st.builds(StepInput, name=st.just(name), file=FILES) for name in ("a.fits", "b.fits"))),
    obs_id=OBS_IDS,
)
PLANNED = st.builds(
    PlannedProduct,
    kind=st.sampled_from(("image", "exposure_map")),
    field_name=WORDS,
    obs_id=OBS_IDS,
    exposure_id=WORDS,
    instrument=CAMERAS,
    band=xst.bands(),
    name=WORDS,
    file=st.none() | FILES,
    grid=st.none() | xst.grids(),
    step=WORDS,
)
OUTCOMES = st.builds(Done, step=WORDS, key=WORDS, outputs=st.lists(OUTPUTS, max_size=2)) | st.builds(
    Failed, step=WORDS, reason=WORDS
)
CHANGES = st.builds(
    StepChange,
    kind=st.sampled_from(("removed", "added", "changed")),
    obs_id=WORDS,
    task=WORDS,
    outputs=st.lists(WORDS, max_size=2),
    details=st.lists(WORDS, max_size=2),
)
PLANS = (
    case(StepChange, CHANGES, {"kind": "moved"}),
    case(
        PlanDiff,
        st.builds(
            PlanDiff,
            same=st.integers(0, 9),
            changes=st.lists(CHANGES, max_size=2),
            found=st.lists(WORDS, max_size=2),
            notes=st.lists(WORDS, max_size=2),
        ),
        None,
    ),
    case(
        Wish,
        st.builds(
            Wish,
            bands=st.lists(xst.bands(), min_size=1, max_size=2),
            grid=st.none() | st.just(ImageGrid()),
            selection=st.none() | WORDS,
            reference=st.none() | OBS_IDS,
            vignetting=st.booleans(),
            flares=FLARES,
        ),
        None,
    ),
    case(FlareChoice, FLARES, None),
    case(BinnedList, BINNED, None),
    case(EventMosaic, NOTED_MOSAICS, None, holds_arrays=True),
    case(
        SourceSearch,
        xst.source_searches(),
        {"threshold": 0.0},
    ),
    case(
        GoodTimePart,
        st.builds(
            GoodTimePart,
            selection=TEXTS,
            inputs=st.lists(xst.steps().map(lambda s: StepInput(name="a", step=s.id)), max_size=1),
            steps=st.lists(MOSAICS, max_size=1),
            notes=st.lists(WORDS),
        ),
        None,
    ),
    case(
        Part,
        st.builds(
            Part,
            steps=st.lists(MOSAICS, max_size=1),
            products=st.lists(PLANNED, max_size=2),
            notes=st.lists(WORDS, max_size=2),
        ),
        None,
    ),
    case(StepInput, INPUTS, {"name": ""}, examples=200),
    case(Step, xst.steps(), {"inputs": (StepInput(name="other.fits", step="x"),)}, relatives=MOSAICS),
    case(PlannedProduct, PLANNED, {"kind": "spectrum"}),
    case(Plan, xst.plans(), None, examples=30),
    case(
        Run,
        st.builds(
            Run,
            plan=xst.plans(max_steps=1),
            outcomes=st.lists(OUTCOMES, max_size=2),
            store=WORDS,
            engine=WORDS,
            notes=st.lists(WORDS, max_size=1),
        ),
        None,
        examples=20,
    ),
)
PRODUCT_REFERENCES = (
    case(Image, xst.products(kind="image"), {"path": ""}),
    case(
        ExposureMap,
        st.builds(
            lambda exposure, part: attrs.evolve(
                exposure, looked_at=None if part is None else np.full(exposure.grid.shape, part, dtype=np.float32)
            ),
            xst.products(kind="exposure_map"),
            st.none() | st.sampled_from((0.0, 0.5, 1.0)),
        ),
        {"obs_id": ""},
        holds_arrays=True,
    ),
    case(
        RateMap,
        xst.products(kind="rate_map"),
        {"image": Image(path="a.fits", obs_id="another", instrument="pn", band=BAND, grid=GRID)},
        relatives=RATE_MAPS_OF_ONE_IMAGE,
    ),
)
CASES = (*RECORDS, *PLANS, *SCIENCE, *COMMANDS, *NODES, *PRODUCT_REFERENCES)

# Their repr sums up what would fill pages; everything else is shown in full, and evaluates to the record.
SUMMED_UP = (
    GoodTimes,
    Command,
    Step,
    Exposure,
    ExposureMap,
    Field,
    FieldObservation,
    Image,
    Observation,
    Plan,
    PlanDiff,
    RateMap,
    Run,
    SourceList,
    SpectrumTable,
)

COVERED_ROOMS = ("xphotfn.records", "xphotfn.science", "xphotfn.commands", "xphotfn.io.products", "xphotfn.graph")
PLAIN = (str, int, float, bool, type(None))
SAMPLES, MOST_PAIRED = 12, 40

each_record = pytest.mark.parametrize("case", CASES, ids=lambda case: case.record.__name__)


def aliases(record):
    """Return pairs of the name of each field and the name it has in the constructor."""
    return [(item.name, item.alias) for item in attrs.fields(record) if item.init]


def leaves(value):
    """Return all values in a record that are neither tuple nor record."""
    if isinstance(value, tuple):
        return [leaf for item in value for leaf in leaves(item)]
    if attrs.has(type(value)):
        return [leaf for name, _ in aliases(type(value)) for leaf in leaves(getattr(value, name))]
    return [value]


def records_in(value):
    if isinstance(value, tuple):
        return sum(records_in(item) for item in value)
    if attrs.has(type(value)):
        return 1 + sum(records_in(getattr(value, name)) for name, _ in aliases(type(value)))
    return 0


def equal(one, other):
    arrays = isinstance(one, np.ndarray) or isinstance(other, np.ndarray)
    return np.array_equal(one, other) if arrays else one == other


@cache
def drawn(strategy, count=SAMPLES):
    """Return examples of a strategy: drawing them costs more than all that is asked of them, so tests share them."""
    found = []

    @settings(max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(record):
        found.append(record)

    collect()
    return tuple(found)


def samples(strategy, count=4):
    return drawn(strategy)[-count:]  # the first are the simplest


@each_record
def test_is_final_frozen_and_without_bases(case):
    assert getattr(case.record, "__final__", False), "mark it with typing.final"
    assert case.record.__bases__ == (object,)
    for item in attrs.fields(case.record):
        assert item.kw_only, item.name
    with pytest.raises(TypeError):
        case.record(*range(max(1, len(attrs.fields(case.record)))))


@each_record
def test_behaves_as_a_value(case):
    for record in drawn(case.strategy):
        twin = case.record(**{alias: getattr(record, name) for name, alias in aliases(case.record)})
        assert twin == record
        assert (twin != record) is False
        assert hash(twin) == hash(record)
        assert {record: "found"}[twin] == "found"
        assert record != repr(record)

        assert attrs.evolve(record) == record
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copy = pickle.loads(pickle.dumps(record, protocol))
            assert copy == record
            assert hash(copy) == hash(record)
            assert repr(copy) == repr(record)


@each_record
def test_cannot_be_changed(case):
    for record in samples(case.strategy, 1):
        assert not hasattr(record, "__dict__")
        for name, _ in aliases(case.record):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(record, name, getattr(record, name))
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                delattr(record, name)
        with pytest.raises(AttributeError):
            record.something_new = 1


@each_record
def test_holds_plain_values_only(case):
    for record in drawn(case.strategy):
        for value in leaves(record):
            if case.holds_arrays and isinstance(value, np.ndarray):
                assert not value.flags.writeable
                continue
            assert type(value) in PLAIN, f"{type(record).__name__} holds {value!r} of {type(value)}"


@each_record
def test_repr_is_one_short_line(case):
    names = {item.record.__name__: item.record for item in CASES}
    hidden = ("Target", *(record.__name__ for record in SUMMED_UP))
    for record in samples(case.strategy):
        text = repr(record)
        assert text.startswith(f"{case.record.__name__}(")
        assert "\n" not in text
        values = leaves(record)
        is_small = len(values) <= 20 * records_in(record) and not any(len(str(value)) > 25 for value in values)
        if is_small:
            assert len(text) < 500 * records_in(record)
        evaluates = not case.holds_arrays and not any(f"{name}(" in text for name in hidden)
        if evaluates and all(name == alias for name, alias in aliases(case.record)):
            assert eval(text, dict(names)) == record  # noqa: S307 - the repr of our own record


@pytest.mark.parametrize("record", SUMMED_UP, ids=lambda record: record.__name__)
def test_a_summed_up_repr_stays_short_however_much_the_record_holds(record):
    case = next(item for item in CASES if item.record is record)
    for item in drawn(case.strategy):
        assert len(repr(item)) < 400


class Page(HTMLParser):
    """HTML whose every tag is closed in order; it keeps the text and the names of the tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.open.append(tag)
        self.tags.append(tag)

    def handle_startendtag(self, tag, attrs):  # noqa: ARG002
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


SHOWN = (*RECORDS, *PRODUCT_REFERENCES, *(c for c in (*PLANS, *COMMANDS) if c.record.__name__ in xphotfn.__all__))


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case.record.__name__)
def test_has_html_that_is_whole_and_escaped(case):
    for record in samples(case.strategy, 3):
        page = Page(record._repr_html_())
        assert not page.open
        assert "".join(page.texts).strip()
        assert set(page.tags) <= {
            *("div", "span", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "br", "img"),
            *("svg", "g", "title", "rect", "text", "path"),
        }


def test_every_public_record_has_html():
    public = [getattr(xphotfn, name) for name in xphotfn.__all__ if name[0].isupper()]
    records = [item for item in public if attrs.has(item) and not issubclass(item, Exception)]
    assert len(records) > 20
    assert [item.__name__ for item in records if not hasattr(item, "_repr_html_")] == []


@pytest.mark.parametrize("case", [case for case in CASES if not case.holds_arrays], ids=lambda c: c.record.__name__)
def test_a_store_gives_it_back(case):
    """Runs are kept as JSON; what is read again is the same record, with tuples and not lists."""
    for record in samples(case.strategy):
        kept = from_plain(json.loads(json.dumps(to_plain(record), allow_nan=False)))
        assert kept == record
        assert repr(kept) == repr(record)


@each_record
def test_every_field_counts(case):
    """Putting another record's value into any one field gives an unequal record."""
    untold = dict(aliases(case.record))
    for count in (SAMPLES, max(case.examples, SAMPLES)):  # more, where a field seldom changes alone
        for record, other in permutations(drawn(case.relatives, count)[-MOST_PAIRED:], 2):
            for name, alias in tuple(untold.items()):
                value = getattr(other, name)
                if equal(value, getattr(record, name)):
                    continue
                try:
                    changed = attrs.evolve(record, **{alias: value})
                except XphotfnError:
                    continue  # the new value does not fit the other fields
                assert changed != record, name
                assert equal(getattr(changed, name), value)
                assert {record: 1, changed: 2}[changed] == 2
                del untold[name]
        if not untold:
            break
    assert not untold


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.invalid is not None], ids=lambda case: case.record.__name__
)
def test_evolve_validates_again(case):
    for record in samples(case.strategy, 2):
        with pytest.raises(XphotfnError):
            attrs.evolve(record, **case.invalid)


def test_equal_in_a_process_with_another_hash_seed():
    """Sent through a process whose strings hash differently, every record comes back equal and found as a key."""
    sent = [record for case in CASES for record in samples(case.strategy, 3)]
    script = (
        "import pickle, sys\n"
        "records = pickle.load(sys.stdin.buffer)\n"
        "again = pickle.loads(pickle.dumps(records))\n"
        "assert all({one: True}[other] for one, other in zip(records, again, strict=True))\n"
        "sys.stdout.buffer.write(pickle.dumps((records, [repr(r) for r in records], hash('xphotfn'))))\n"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(sent),
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    received, texts, hashed = pickle.loads(done.stdout)
    assert texts == [repr(record) for record in sent]
    assert received == sent
    assert [hash(record) for record in received] == [hash(record) for record in sent]
    assert hashed != hash("xphotfn"), "strings hash here as there"


def test_no_record_is_forgotten():
    """Every public attrs class of the rooms that hold records has a case above."""
    covered = {case.record for case in CASES}
    forgotten = []
    for room in COVERED_ROOMS:
        package = importlib.import_module(room)
        names = [room, *(m.name for m in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{room}."))]
        for module in map(importlib.import_module, names):
            for name, item in vars(module).items():
                is_ours = isinstance(item, type) and item.__module__ == module.__name__ and attrs.has(item)
                if is_ours and not name.startswith("_") and item not in covered:
                    forgotten.append(f"{module.__name__}.{name}")
    assert not forgotten, f"give these records a case in this file: {forgotten}"
