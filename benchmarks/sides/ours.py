"""What xphotfn does, one function for each row; each makes its inputs ready and returns the work of a number."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.sides import FEW, MANY, circles, pairs, places, scene, sky_pairs

__all__ = ()

ASK = ["--ra", "149.59209", "--dec", "-11.05972", "--redshift", "0.16", "--radius", "1200kpc", "--band", "0.5-2keV"]


def maps_of(facts, which="maps"):
    """Return rate maps of the files."""
    from xphotfn.io.products import ExposureMap, Image, RateMap
    from xphotfn.records.band import Band
    from xphotfn.records.grid import PixelGrid

    found = []
    for item in facts[which]:
        high = 3649 + item["step"] * item["size"] - 1
        grid = PixelGrid.from_sky_range(item["ra"], item["dec"], low=3649, high=high, bin_size=item["step"])
        names = {"obs_id": item["obs_id"], "exposure_id": "S003", "instrument": item["instrument"],
                 "band": Band(lo_ev=500, hi_ev=2000), "grid": grid}  # fmt: skip
        image, exposure = Image(path=item["image"], **names), ExposureMap(path=item["exposure"], **names)
        found.append(RateMap(image=image, exposure=exposure))
    return found


def field_of(facts):
    """Return the field of the target with 66 interlopers."""
    import astropy.units as u
    from attrs import evolve

    import xphotfn as xp
    from xphotfn.records import FieldObservation
    from xphotfn.records.region import Region
    from xphotfn.testing.examples import example_field

    target = xp.galaxy_cluster("target", facts["ra"], facts["dec"], redshift=0.16, r500=facts["r500_deg"] * u.deg)
    field = evolve(example_field(), target=target, centre_ra_deg=facts["ra"], centre_dec_deg=facts["dec"])
    grid = maps_of(facts)[0].grid
    pixel = grid.pixel_deg
    regions = [
        Region(shape="ellipse", frame="fk5", x=ra, y=dec, size=(a * pixel, b * pixel), angle_deg=angle, colour="red")
        for ra, dec, a, b, angle in facts["regions"]
    ]
    member = FieldObservation(observation=field.members[0].observation, region_grid=grid, interlopers=regions)
    return evolve(field, members=(member,))


def fields_of(facts):
    """Return fields with a centre of their own for each number, those of :func:`benchmarks.sides.places`."""
    import astropy.units as u

    import xphotfn as xp

    field = field_of(facts)
    return [xp.with_centre(field, at * u.deg) for at in places(facts)]


def places_of(facts):
    """Return positions as Quantities."""
    import astropy.units as u

    return [at * u.deg for at in places(facts)]


def process_map(folder, facts):
    """Import xphotfn and read one rate map, in a new process."""
    item = facts["maps"][0]
    code = (
        "import astropy.units as u, xphotfn as xp\n"
        "band = xp.energy_band(0.5 * u.keV, 2 * u.keV)\n"
        f"found = xp.rate_map({item['image']!r}, {item['exposure']!r}, band=band).data\n"
        "print(repr(float(found.sum())))"
    )

    def run(number):
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    return run


def process_snr(folder, facts):
    """Run ``xphotfn snr`` on Abell 907, whose products are found."""
    store = Path(folder, "store")
    line = [sys.executable, "-m", "xphotfn", "snr", facts["a907"], *ASK, "--store", str(store), "--engine", "native"]
    shown = [sys.executable, "-X", "importtime", *line[1:]]
    seen = subprocess.run(shown, capture_output=True, text=True, check=True).stderr.splitlines()[1:]
    names = [text.split("|")[-1].strip() for text in seen if text.startswith("import time:")]
    kept = [n for n in names[1:] if n not in ("__main__", "xphotfn.__main__")]
    (Path(folder) / "modules_of_snr.txt").write_text("\n".join(kept))
    return lambda number: subprocess.run(line, capture_output=True, check=True).stdout and None


def first_touch(folder, facts):
    """Load an image and its exposure map for the first time and divide."""
    from xphotfn.io.products import clear_cache

    maps = maps_of(facts)

    def run(number):
        clear_cache()
        return maps[number % 9].data

    return run


def r500_masks(folder, facts):
    """Make the source and background masks of R500."""
    import xphotfn as xp

    [item, *_], field, at = maps_of(facts), field_of(facts), places_of(facts)
    return lambda number: xp.source_mask(item, field, "r500", centre=at[number % MANY])


def snr_steady(folder, facts):
    """Measure the signal-to-noise in R500 by XGA's definition, data and interlopers there, masks to be made."""
    import xphotfn as xp

    [item, *_], fields = maps_of(facts), fields_of(facts)
    return lambda number: float(xp.snr(item, fields[number % MANY], "r500", method="xga"))


def ranking_steady(folder, facts):
    """Rank nine maps, data and interlopers there."""
    import xphotfn as xp

    maps, fields = maps_of(facts), fields_of(facts)

    def run(number):
        return np.asarray(xp.snr_ranking(maps, fields[number % MANY], "r500", method="xga")["snr"])

    return run


def ranking_cold(folder, facts):
    """Rank nine maps whose files were never read, with interlopers to paint."""
    from xphotfn.io.products import clear_cache

    steady = ranking_steady(folder, facts)

    def run(number):
        clear_cache()
        return steady(number)

    return run


RADIUS, INNER, OUTER = 30.0, 60.0, 90.0  # arcsec


def one_position(folder, facts, which="maps", count=1):
    """Measure one position."""
    import astropy.units as u

    from xphotfn.measure.photometry.apertures import photometry

    maps, at = maps_of(facts, which)[:count], places_of(facts)
    ring = INNER * u.arcsec, OUTER * u.arcsec

    def run(number):
        table = photometry(maps, at[number % MANY], RADIUS * u.arcsec, background=ring)
        return np.array([table["counts"].value[0], table["background_counts"].value[0]])

    return run


def nine_large_maps(folder, facts):
    """Measure one position on nine large maps."""
    return one_position(folder, facts, "large", 9)


def nine_maps(folder, facts):
    """Measure one position on nine maps."""
    return one_position(folder, facts, "maps", 9)


def joint(folder, facts):
    """Measure one position on nine maps, and all of them jointly."""
    import astropy.units as u

    from xphotfn.measure.photometry.apertures import photometry
    from xphotfn.measure.photometry.joint_photometry import joint_photometry

    maps, at = maps_of(facts), places_of(facts)
    response = {"pn": 1.0, "mos1": 0.34, "mos2": 0.35}

    def run(number):
        table = photometry(maps, at[number % MANY], 150 * u.arcsec)
        joint_photometry(table, response=response)

    return run


def nine_maps_wide(folder, facts):
    """Measure one position on nine maps in circles that hold some 10,000 counts."""
    import astropy.units as u

    from xphotfn.measure.photometry.apertures import photometry

    maps, at = maps_of(facts), places_of(facts)
    return lambda number: photometry(maps, at[number % MANY], 150 * u.arcsec) and None


def many_positions(folder, facts):
    """Sum three maps in exact circles and rings of 10,000 positions."""
    from xphotfn.science.disc_sums import row_sums, table_of_sums
    from xphotfn.science.discs import disc_weights, position_chunks

    arrays = [m.counts.astype(np.float64) for m in maps_of(facts)[:3]]

    def run(number):
        x, y = circles(number, facts)
        images, found = row_sums(*arrays), np.empty((2, 3, x.size))
        for part in position_chunks(17.0, x.size):
            circle, inner, outer = (
                table_of_sums(disc_weights((512, 512), x[part], y[part], r, overlap="exact"), images).T
                for r in (6.9, 10.0, 17.0)
            )
            found[0, :, part], found[1, :, part] = circle, outer - inner
        return found

    return run


def clustering(folder, facts):
    """Find the brightest pixel of the largest group of the brightest 5 %."""
    from xphotfn.science.peaks import clustering_peak

    scenes = [scene(n) for n in range(5)]
    return lambda number: clustering_peak(*scenes[number % 5])


def pair_to_deg(folder, facts):
    """Convert one pair of pixels to degrees."""
    from astropy.units import Quantity

    import xphotfn as xp

    [item, *_], pixels = maps_of(facts), [Quantity([100.0 + n, 200.0], "pix") for n in range(MANY)]
    return lambda number: xp.coord_conv(item, pixels[number % MANY], "deg").value


def pair_to_pix(folder, facts):
    """Convert one pair of degrees to pixels."""
    import xphotfn as xp

    [item, *_], at = maps_of(facts), places_of(facts)
    return lambda number: xp.coord_conv(item, at[number % MANY], "pix").value


def many_to_deg(folder, facts):
    """Convert 1e5 pairs of pixels to degrees."""
    from astropy.units import Quantity

    import xphotfn as xp

    [item, *_], given = maps_of(facts), [Quantity(pairs(n), "pix") for n in range(FEW)]
    return lambda number: xp.coord_conv(item, given[number % FEW], "deg").value


def many_to_pix(folder, facts):
    """Convert 1e5 pairs of degrees to pixels."""
    import astropy.units as u

    import xphotfn as xp

    [item, *_], given = maps_of(facts), [sky_pairs(n, facts) * u.deg for n in range(FEW)]
    return lambda number: xp.coord_conv(item, given[number % FEW], "pix").value


def there_and_back(folder, facts):
    """Convert 1e5 pairs to degrees and back."""
    import astropy.units as u

    import xphotfn as xp

    [item, *_], given = maps_of(facts), [pairs(n) * u.pix for n in range(FEW)]

    def run(number):
        sky = xp.coord_conv(item, given[number % FEW], "deg")
        return xp.coord_conv(item, sky, "pix", rounded=False).value

    return run


def image_of_packed(folder, facts, which="packed_events"):
    """Make an image of an event list."""
    from xphotfn.commands import Command
    from xphotfn.engines.native.evselect.evselect_task import evselect

    scratch = Path(tempfile.mkdtemp(dir=folder))
    (scratch / "events.fits").symlink_to(facts[which])
    grid = {"xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": 87, "yimagebinsize": 87}
    ends = {"ximagemin": 3649, "ximagemax": 48106, "yimagemin": 3649, "yimagemax": 48106}
    values = {"table": "events.fits", "imageset": "image.fits", "expression": "(PI in [500:2000])", **grid, **ends}
    command = Command(task="evselect", parameters=tuple(values.items()))

    def run(number):
        from astropy.io import fits

        (scratch / "image.fits").unlink(missing_ok=True)
        evselect(command, scratch)
        return fits.getdata(scratch / "image.fits")

    return run


def image_of_plain(folder, facts):
    """Make an image of the plain event list, after one decompression of the packed one."""
    import gzip

    work = image_of_packed(folder, facts, "events")

    def run(number):
        gzip.decompress(Path(facts["packed_events"]).read_bytes())
        return work(number)

    return run


def interlopers(folder, facts):
    """Paint the mask of 66 interlopers, whose places move from number to number."""
    from attrs import evolve

    import xphotfn as xp

    [item, *_], field = maps_of(facts), field_of(facts)
    [member] = field.members

    def run(number):
        regions = [evolve(r, x=r.x + 1e-4 * (number % 100)) for r in member.interlopers]
        return xp.interloper_mask(item, evolve(field, members=(evolve(member, interlopers=regions),)))

    return run


def matching(folder, facts, size=1000):
    """Match as many targets as observations."""
    import astropy.units as u
    from attrs import evolve

    import xphotfn as xp
    from xphotfn.testing.examples import example_field

    first, rng = example_field().observations[0], np.random.default_rng(1)
    size = size // 10 if facts["small"] else size
    ra, dec = rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, size)))
    observations = [
        evolve(first, obs_id=f"{n:010d}", ra_deg=a, dec_deg=d) for n, (a, d) in enumerate(zip(ra, dec, strict=True))
    ]
    targets = [
        xp.point_source(f"t{n}", a, d, radius=30 * u.arcsec)
        for n, (a, d) in enumerate(zip(ra, dec + 0.05, strict=True))
    ]
    return lambda number: xp.match_observations(targets, observations) and None


def matching_many(folder, facts):
    """Match ten times as many targets with ten times as many observations."""
    return matching(folder, facts, 10_000)


def limits(folder, facts):
    """Upper limits of an array of counts with a known background."""
    from xphotfn.science.limits import upper_limit

    def run(number):
        counts = np.random.default_rng(number).poisson(3.0, 200 if facts["small"] else 1000)
        return upper_limit(counts, 1.5, confidence=0.95)

    return run


def mosaic_fifty(folder, facts):
    """Put nine images onto one grid, the nearest pixel of each."""
    from xphotfn.science.mosaic import mosaic

    maps = maps_of(facts)
    return lambda number: mosaic([m.grid for m in maps], (m.image.data for m in maps), maps[number % 9].grid)[0]


def maps_on_threads(folder, facts):
    """Make nine exposure maps and their images from event lists, on one thread, into a new store each time."""
    return made_maps(folder, facts, "threads")


def made_maps(folder, facts, scheduler):
    from attrs import evolve

    import xphotfn as xp
    from xphotfn.testing import default_scene, simulate_observations

    scene, place = default_scene(), Path(tempfile.mkdtemp(dir=folder))
    first, second = scene.pointings
    pointings = [first] if facts["small"] else [first, second, evolve(second, obs_id="0999990301")]
    simulate_observations(place / "data", scene=evolve(scene, pointings=pointings), products=("events",))
    fields = xp.match_observations(scene.cluster.target, xp.find_observations(place / "data"))

    def run(number):
        band = xp.energy_band(f"{0.4 + 0.01 * (number % 20):.2f} keV", "2 keV")
        plan = xp.plan_exposure_maps(fields, band)
        how = {"engine": xp.native_engine(), "store": tempfile.mkdtemp(dir=place), "progress": False}
        made = xp.run(plan, scheduler=scheduler, workers=None if scheduler != "threads" else 1, **how)
        return sorted(out.digest for done in made.done for out in done.outputs)

    return run


def maps_on_cluster(folder, facts):
    """Make them on a LocalCluster of one worker with the settings for its memory that the documentation names."""
    import time

    import dask
    from distributed import Client, LocalCluster

    from benchmarks.worker import cpu

    sizes = {"MALLOC_TRIM_THRESHOLD_": 2**27, "MALLOC_MMAP_THRESHOLD_": 2**25}
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in sizes.items()})
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    client = Client(cluster, timeout=60)
    work = made_maps(folder, facts, client)

    def run(number):
        return work(number)

    run.cpu = lambda: cpu() + sum(client.run(time.process_time).values())
    return run
