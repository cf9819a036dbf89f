"""Where a field is measured: at the position that was given, or at a peak that is near and sure; never elsewhere."""

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.io.write import write_image
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.measurement import CENTRES
from xphotfn.simulate.scene import SOFT
from xphotfn.testing import CameraExposure, Cluster, Pointing, Scene, example_field, model_counts

CAMERA = CameraExposure(instrument="mos2", exposure_id="S002", ontime_s=20_000.0)
POINTING = Pointing(obs_id="0999990101", ra_deg=150.0, dec_deg=2.0, exposures=[CAMERA])
GRID = POINTING.grid


def product(kind, path, array, band=SOFT, grid=GRID):
    write_image(path, array, grid, [("TELESCOP", "XMM", "")])
    return kind(path=str(path), obs_id="combined", instrument="combined", band=band, grid=grid)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("centre")


@pytest.fixture
def rate_map_of(folder, request):
    """A function that writes counts and exposure and gives their rate map."""
    made = iter(range(10**6))

    def make(counts, exposure, band=SOFT, grid=GRID):
        name = f"{request.node.name[:40]}-{next(made)}"
        image = product(xp.Image, folder / f"{name}-img.fits", counts.astype(np.int32), band, grid)
        return xp.RateMap(
            image=image, exposure=product(xp.ExposureMap, folder / f"{name}-exp.fits", exposure, band, grid)
        )

    return make


def field_of(target, interlopers=()):
    observation = example_field().observations[0]
    member = FieldObservation(observation=observation, region_grid=GRID, interlopers=interlopers)
    return Field(target=target, members=[member], centre_ra_deg=target.ra_deg, centre_dec_deg=target.dec_deg)


def cluster_at(ra, dec, r500=3 * u.arcmin, redshift=0.2):
    return field_of(xp.galaxy_cluster("c", ra, dec, redshift=redshift, r500=r500))


def away_arcsec(one, other):
    from astropy.coordinates import SkyCoord

    return SkyCoord(*one).separation(SkyCoord(*other)).arcsec


def place(random, reach_arcmin, around=(150.0, 2.0)):
    distance, angle = reach_arcmin / 60 * np.sqrt(random.uniform()), random.uniform(0, 2 * np.pi)
    dec = around[1] + distance * np.cos(angle)
    return around[0] + distance * np.sin(angle) / np.cos(np.radians(dec)), dec


def blank_places(rate_map_of, images, places=5):
    """Yield centre, field and map of clusters that are not there, in images of empty sky of many depths."""
    random = np.random.default_rng(7)
    for _ in range(images):
        level = 10 ** random.uniform(-1.5, 0.3) / CAMERA.live_s / (GRID.pixel_deg * 60) ** 2
        model = model_counts(Scene(pointings=[POINTING], sky_rate=level, particle_rate=0.0), POINTING, "mos2", SOFT)
        rate_map = rate_map_of(random.poisson(model.total), model.exposure.astype(np.float32))
        for _ in range(places):
            field = cluster_at(*place(random, 9.0), r500=10 ** random.uniform(0.0, 0.6) * u.arcmin)
            yield xp.find_centre(rate_map, field), field, rate_map


def check_blank(found):
    values = [float(xp.snr(m, xp.with_centre(field, centre), "r500")) for centre, field, m in found]
    moved = [centre for centre, *_ in found if centre.is_peak]
    assert not moved, "noise is no peak"
    assert {centre.reason for centre, *_ in found} <= set(CENTRES) - {"peak", "given"}
    for centre, field, _ in found:
        assert centre.position.value.tolist() == field.centre.value.tolist()
        assert centre.offset_arcsec == 0
    n = len(values)
    assert np.mean(values) == pytest.approx(0, abs=3.5 / np.sqrt(n))
    assert np.std(values) == pytest.approx(1, abs=3.5 / np.sqrt(2 * n))


def test_clusters_that_are_not_there_are_measured_where_they_were_asked(rate_map_of):
    check_blank(list(blank_places(rate_map_of, images=4, places=10)))


@pytest.mark.slow
def test_300_clusters_that_are_not_there_average_0_with_width_1(rate_map_of):
    check_blank(list(blank_places(rate_map_of, images=60)))


def simulated_clusters(rate_map_of, models, draws):
    """Yield centre, field and true position of clusters of 60 to 6,000 counts, up to an arcmin from where asked."""
    random = np.random.default_rng(11)
    for number in range(models):
        ra, dec = place(random, 6.0)
        counts, core = 10 ** np.linspace(1.8, 3.8, models)[number], random.uniform(8, 40)
        cluster = Cluster(name="c", ra_deg=ra, dec_deg=dec, rate=counts / CAMERA.live_s, core_arcsec=core, beta=0.65)
        model = model_counts(Scene(pointings=[POINTING], cluster=cluster), POINTING, "mos2", SOFT)
        for _ in range(draws):
            rate_map = rate_map_of(random.poisson(model.total), model.exposure.astype(np.float32))
            field = cluster_at(*place(random, 1.0, (ra, dec)), r500=random.uniform(1.5, 4) * u.arcmin)
            yield xp.find_centre(rate_map, field), field, (ra, dec) * u.deg


def check_clusters(found):
    moved, nearer = 0, 0
    for centre, field, truth in found:
        bound = field.target.r500.to_value(u.arcsec)
        assert away_arcsec(centre.position, field.centre) == pytest.approx(centre.offset_arcsec, abs=1e-3)
        assert centre.offset_arcsec < bound
        assert centre.peak is None or away_arcsec(centre.peak.position, field.centre) < bound
        moved += centre.is_peak
        nearer += centre.is_peak and away_arcsec(centre.position, truth) < max(15, away_arcsec(field.centre, truth))
    assert moved > len(found) / 3
    assert nearer >= 0.9 * moved - 1, "a peak that is used is nearly always nearer to the truth"


def test_simulated_clusters_keep_within_their_own_region(rate_map_of):
    check_clusters(list(simulated_clusters(rate_map_of, models=4, draws=3)))


@pytest.mark.slow
def test_100_simulated_clusters_keep_within_their_own_region(rate_map_of):
    check_clusters(list(simulated_clusters(rate_map_of, models=20, draws=5)))


# what a search for a peak must not do, on small maps of known counts

FLAT = np.full(GRID.shape, 10_000.0, dtype=np.float32)
MIDDLE = 256


def sky_with(*blobs, level=0.05, seed=3):
    """Return counts of flat sky with round blobs of (x, y, counts, width), in pixels."""
    y, x = np.mgrid[: GRID.ny, : GRID.nx]
    mean = np.full(GRID.shape, level)
    for bx, by, counts, width in blobs:
        mean += counts / (2 * np.pi * width**2) * np.exp(-((x - bx) ** 2 + (y - by) ** 2) / (2 * width**2))
    return np.random.default_rng(seed).poisson(mean)


def sky_of(x, y):
    from xphotfn.science.coords import pix_to_deg

    return tuple(float(v) for v in pix_to_deg(GRID, x, y))


def test_a_faint_target_is_not_left_for_a_bright_neighbour(rate_map_of):
    """The neighbour lies just outside the region; the search of 500 kpc, or 5 arcmin, would reach it."""
    radius = 90 * u.arcsec  # 20.7 pixels
    rate_map = rate_map_of(sky_with((MIDDLE, MIDDLE, 60, 2), (MIDDLE + 25, MIDDLE, 900, 2)), FLAT)
    target = xp.extended_source("t", *sky_of(MIDDLE, MIDDLE), radius=radius)
    assert xp.find_centre(rate_map, field_of(target)).reason == "given", "no search for an extended source"
    field = cluster_at(*sky_of(MIDDLE, MIDDLE), r500=radius)
    assert away_arcsec(xp.find_peak(rate_map, field).position, field.centre) > 90, "XGA's search leaves the target"
    centre = xp.find_centre(rate_map, field)
    assert centre.offset_arcsec < 20
    alone = rate_map_of(sky_with((MIDDLE + 25, MIDDLE, 900, 6)), FLAT)
    assert xp.find_centre(alone, field).reason == "far", "the flank of a neighbour is no peak"
    nearer = xp.find_centre(rate_map, field, search=30 * u.arcsec)
    assert nearer.search_arcsec == pytest.approx(30)
    assert nearer.offset_arcsec < 30


def test_a_peak_at_a_gap_is_not_used(rate_map_of):
    exposure = FLAT.copy()
    exposure[:, MIDDLE + 6 : MIDDLE + 9] = 0
    counts = np.where(exposure > 0, sky_with((MIDDLE + 5, MIDDLE, 2000, 3)), 0)
    centre = xp.find_centre(rate_map_of(counts, exposure), cluster_at(*sky_of(MIDDLE - 10, MIDDLE)))
    assert (centre.reason, centre.offset_arcsec, centre.peak.near_edge) == ("edge", 0, True)
    assert str(centre) == CENTRES["edge"]


def test_what_cannot_be_compared_or_found_leaves_the_position(rate_map_of):
    here = sky_of(MIDDLE, MIDDLE)
    assert xp.find_centre(rate_map_of(np.zeros(GRID.shape), FLAT), cluster_at(*here)).reason == "no peak"
    y, x = np.mgrid[: GRID.ny, : GRID.nx]
    small = np.where(np.hypot(x - MIDDLE, y - MIDDLE) < 42, FLAT, 0)  # no ring: the field ends with the region
    bright = np.where(small > 0, sky_with((MIDDLE, MIDDLE, 2000, 4)), 0)
    assert xp.find_centre(rate_map_of(bright, small), cluster_at(*here)).reason == "no background"
    faint = xp.find_centre(rate_map_of(sky_with(), FLAT), cluster_at(*here))
    assert faint.reason in ("insignificant", "far", "not converged")
    assert faint.significance < 5


def test_equal_pixels_go_to_the_nearest(rate_map_of):
    """Sparse counts of one exposure have one rate: the last in row order would be the lower right, or upper, rim."""
    counts = np.zeros(GRID.shape)
    counts[::9, ::9] = 1
    x, y = 9 * 30, 9 * 27
    for method in ("simple", "clustering"):
        field = cluster_at(*sky_of(x + 1.0, y - 1.0), r500=5 * u.arcmin)
        found = xp.find_peak(rate_map_of(counts, FLAT), field, method=method)
        assert found.position.value == pytest.approx(sky_of(x, y), abs=1e-9)


def test_all_bands_have_one_centre_whatever_their_order(rate_map_of):
    hard = xp.energy_band(2 * u.keV, 10 * u.keV)
    soft = rate_map_of(sky_with((MIDDLE + 5, MIDDLE - 3, 1500, 4)), FLAT)
    noise = rate_map_of(sky_with((MIDDLE - 15, MIDDLE, 50, 3), level=0.5), FLAT, band=hard)
    field = cluster_at(*sky_of(MIDDLE, MIDDLE))
    centre = xp.find_centre([noise, soft], field)
    assert centre == xp.find_centre([soft, noise], field)
    assert (centre.reason, centre.band) == ("peak", SOFT)
    assert away_arcsec(centre.position, sky_of(MIDDLE + 5, MIDDLE - 3) * u.deg) < 15
    several = xp.find_centre(soft, field, region=["r500", 10 * u.arcsec])
    assert several.search_arcsec == pytest.approx(10), "the move stays within each region that is measured"


def test_who_says_where_is_taken_at_his_word(rate_map_of):
    rate_map = rate_map_of(sky_with((MIDDLE + 5, MIDDLE, 1500, 4)), FLAT)
    here = sky_of(MIDDLE, MIDDLE)
    point = field_of(xp.point_source("p", *here, radius=1 * u.arcmin))
    assert xp.find_centre(rate_map, point).reason == "given"
    assert xp.find_centre(rate_map, point, peak=True).reason == "peak"
    field = cluster_at(*here)
    assert xp.find_centre(rate_map, field, peak=False).reason == "given"
    there = xp.with_centre(field, sky_of(MIDDLE + 2, MIDDLE))
    centre = xp.find_centre(rate_map, there)
    assert (centre.reason, centre.position.value.tolist()) == ("given", there.centre.value.tolist())
    bare = field_of(xp.Target(name="t", kind="position", ra_deg=here[0], dec_deg=here[1]))
    assert xp.find_centre(rate_map, bare).reason == "given"
    with pytest.raises(xp.InvalidRecord, match="needs a bound: give region= or search="):
        xp.find_centre(rate_map, bare, peak=True)
    with pytest.raises(xp.InvalidRecord, match="a map to look at"):
        xp.find_centre([], field)
    with pytest.raises(xp.InvalidRecord, match="a bulk field has none"):
        xp.find_centre(rate_map, xp.bulk_field(example_field().observations))


def test_a_region_as_text_is_the_same_as_its_quantity(rate_map_of):
    rate_map, field = rate_map_of(sky_with((MIDDLE, MIDDLE, 1500, 4)), FLAT), cluster_at(*sky_of(MIDDLE, MIDDLE))
    for method in ("mid-p", "xga"):
        assert xp.snr(rate_map, field, "300 kpc", method=method) == xp.snr(rate_map, field, 300 * u.kpc, method=method)
