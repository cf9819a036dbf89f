"""What XGA 1.0.0 does, in an environment of its own.

A source of XGA is declared from a configured tree of observations. Here it is a source whose declaration is left out,
with the radii, regions and maps that it would have: every method that is timed is XGA's own.
"""

import importlib.util
import subprocess
import sys

from benchmarks.sides import FEW, MANY, pairs, places, sky_pairs

__all__ = ()


def a_map(item):
    """Return a new RateMap of an image and an exposure map; nothing is read."""
    from astropy.units import Quantity
    from xga.products import ExpMap, Image, RateMap

    band = Quantity(0.5, "keV"), Quantity(2.0, "keV")
    how = item["obs_id"], item["instrument"], "", "", "", *band
    image = Image(item["image"], *how, telescope="xmm")
    return RateMap(image, ExpMap(item["exposure"], *how, telescope="xmm"))


def a_source(facts):
    """Return a cluster with R500, interlopers and nine maps, that was not declared."""
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from regions import EllipseSkyRegion
    from xga.sources import GalaxyCluster

    names = list(dict.fromkeys(m["obs_id"] for m in facts["maps"]))

    class Declared(GalaxyCluster):
        telescopes = ("xmm",)
        name = "target"
        obs_ids = property(lambda self: {"xmm": names})
        instruments = property(lambda self: {"xmm": {name: ["pn", "mos1", "mos2"] for name in names}})

        def __init__(self):
            self._default_coord = Quantity([facts["ra"], facts["dec"]], "deg")
            self._radii = {"r500": Quantity(facts["r500_deg"], "deg")}
            self._back_inn_factor, self._back_out_factor = 1.05, 1.5
            self._peak_lo_en, self._peak_hi_en = Quantity(0.5, "keV"), Quantity(2.0, "keV")
            size = lambda pixels: Quantity(2 * pixels * 87 * 0.05 / 3600, "deg")  # noqa: E731
            self._interloper_regions = {
                "xmm": [
                    EllipseSkyRegion(SkyCoord(ra, dec, unit="deg"), size(a), size(b), Quantity(angle, "deg"))
                    for ra, dec, a, b, angle in facts["regions"]
                ]
            }
            self.read_nothing()

        def read_nothing(self):
            self.maps = {(m["obs_id"], m["instrument"]): a_map(m) for m in facts["maps"]}
            self._interloper_masks = {"xmm": {o: {} for o in (*self.obs_ids["xmm"], "combined")}}

        def get_images(self, obs_id=None, inst=None, *args, telescope=None, **kwargs):
            return [m.image for (o, _), m in self.maps.items() if o == obs_id]

        def get_ratemaps(self, obs_id=None, inst=None, *args, telescope=None, **kwargs):
            return self.maps[obs_id, inst]

    return Declared()


def places_of(facts):
    """Return positions as Quantities."""
    from astropy.units import Quantity

    return [Quantity(at, "deg") for at in places(facts)]


def process_map(folder, facts):
    """Import XGA and read one rate map, in a new process."""
    if importlib.util.find_spec("xga") is None:
        raise ImportError("No module named 'xga'")
    item = facts["maps"][0]
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from astropy.units import Quantity\n"
        "from xga.products import ExpMap, Image, RateMap\n"
        f"how = {item['obs_id']!r}, {item['instrument']!r}, '', '', '', Quantity(0.5, 'keV'), Quantity(2.0, 'keV')\n"
        f"image = Image({item['image']!r}, *how, telescope='xmm')\n"
        f"found = RateMap(image, ExpMap({item['exposure']!r}, *how, telescope='xmm')).data\n"
        "print(repr(float(found.sum())))"
    )

    def run(number):
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(found.stdout.split()[-1])

    return run


def first_touch(folder, facts):
    """Load an image and its exposure map for the first time and divide."""
    import xga.products  # noqa: F401 - not timed

    return lambda number: a_map(facts["maps"][number % 9]).data


def r500_masks(folder, facts):
    """Make the source and background masks of R500."""
    source, first, at = a_source(facts), facts["maps"][0]["obs_id"], places_of(facts)
    return lambda number: source.get_source_mask("r500", "xmm", first, at[number % MANY])


def snr_steady(folder, facts):
    """Measure the signal-to-noise in R500, data and interlopers there, masks to be made."""
    source, first, at = a_source(facts), facts["maps"][0], places_of(facts)
    how = {"obs_id": first["obs_id"], "inst": first["instrument"]}
    return lambda number: source.get_snr("r500", "xmm", central_coord=at[number % MANY], **how)


def ranking_steady(folder, facts):
    """Rank nine maps, data and interlopers there."""
    source, at = a_source(facts), places_of(facts)

    def run(number):
        source._default_coord = at[number % MANY]
        return source.snr_ranking("r500")[1]["xmm"]

    return run


def ranking_cold(folder, facts):
    """Rank nine maps whose files were never read, with interlopers to paint."""
    source, at = a_source(facts), places_of(facts)

    def run(number):
        source.read_nothing()
        source._default_coord = at[number % MANY]
        return source.snr_ranking("r500")[1]["xmm"]

    return run


def pair_to_deg(folder, facts):
    """Convert one pair of pixels to degrees."""
    from astropy.units import Quantity

    item, pixels = a_map(facts["maps"][0]), [Quantity([100 + n, 200], "pix") for n in range(MANY)]
    return lambda number: item.coord_conv(pixels[number % MANY], "deg").value


def pair_to_pix(folder, facts):
    """Convert one pair of degrees to pixels."""
    item, at = a_map(facts["maps"][0]), places_of(facts)
    return lambda number: item.coord_conv(at[number % MANY], "pix").value


def many_to_deg(folder, facts):
    """Convert 1e5 pairs of pixels to degrees."""
    from astropy.units import Quantity

    item, given = a_map(facts["maps"][0]), [Quantity(pairs(n).astype(int), "pix") for n in range(FEW)]
    return lambda number: item.coord_conv(given[number % FEW], "deg").value


def many_to_pix(folder, facts):
    """Convert 1e5 pairs of degrees to pixels."""
    from astropy.units import Quantity

    item, given = a_map(facts["maps"][0]), [Quantity(sky_pairs(n, facts), "deg") for n in range(FEW)]
    return lambda number: item.coord_conv(given[number % FEW], "pix").value


def interlopers(folder, facts):
    """Paint the mask of 66 interlopers, whose places move from number to number."""
    from astropy.coordinates import SkyCoord
    from regions import EllipseSkyRegion

    source, image = a_source(facts), a_map(facts["maps"][0]).image
    given = source._interloper_regions["xmm"]

    def run(number):
        source._interloper_regions["xmm"] = [
            EllipseSkyRegion(SkyCoord(ra + 1e-4 * (number % 100), dec, unit="deg"), r.width, r.height, r.angle)
            for r, (ra, dec, *_) in zip(given, facts["regions"], strict=True)
        ]
        return source._generate_interloper_mask(image)

    return run
