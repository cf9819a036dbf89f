"""Masks against the regions package: interlopers of a field, and source and background discs.

The peers are what XGA does: the sum over sky regions of ``to_pixel(wcs).to_mask().to_image(shape)`` for the
interlopers, ``to_mask`` of three circles for source and background. Regions and centres change from call to call.
"""

import warnings

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, FITSFixedWarning
from attrs import evolve
from regions import CirclePixelRegion, CircleSkyRegion, EllipsePixelRegion, PixCoord
from timing import arguments, compare

import xphotfn as xp
from xphotfn.records.field import FieldObservation
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix
from xphotfn.testing.examples import example_field, example_rate_map

SHAPE = (512, 512)


def sixty_six(seed):
    """Return 66 ellipses like XAPA's: point sources of 3 pixels and a few extended ones."""
    rng = np.random.default_rng(seed)
    return [
        Region(
            shape="ellipse",
            frame="image",
            x=rng.uniform(60, 450),
            y=rng.uniform(60, 450),
            size=(3.1, 3.1) if n > 4 else (rng.uniform(4, 8), rng.uniform(4, 8)),
            angle_deg=rng.uniform(0, 360),
            colour="red",
        )
        for n in range(66)
    ]


def sky_regions(regions, wcs):
    """Return the same ellipses as sky regions of the regions package, which is how XGA keeps them."""
    return [
        EllipsePixelRegion(PixCoord(r.x, r.y), 2 * r.size[0], 2 * r.size[1], r.angle_deg * u.deg).to_sky(wcs)
        for r in regions
    ]


def loop_over_regions(regions, wcs):
    """Return the interloper mask as XGA makes it."""
    covered = sum(r.to_pixel(wcs).to_mask().to_image(SHAPE) for r in regions)
    return covered == 0


def main():
    warnings.simplefilter("ignore", FITSFixedWarning)
    options = arguments(__doc__)
    product, field = example_rate_map(), example_field()
    repeats = 2 if options.small else 15
    wcs = WCS(product.header).celestial
    sets = []
    for seed in range(repeats):
        regions = sixty_six(seed)
        member = FieldObservation(
            observation=field.members[0].observation, region_grid=product.grid, interlopers=regions
        )
        sets.append((sky_regions(regions, wcs), evolve(field, members=(member,))))
    differing = np.count_nonzero(xp.interloper_mask(product, sets[0][1]) != loop_over_regions(sets[0][0], wcs))
    assert differing <= 5, differing  # regions passes ellipses through a local Jacobian of the WCS
    compare(
        "interloper mask, 66 regions on 512 x 512",
        lambda s: xp.interloper_mask(product, s[1]),
        lambda s: loop_over_regions(s[0], wcs),
        sets,
        limit=0.01,
        check=options.check,
    )
    discs(product, field, wcs, repeats, options.check)


def discs(product, field, wcs, repeats, check):
    rng = np.random.default_rng(7)
    centres = [
        [field.target.ra_deg + rng.uniform(-0.01, 0.01), field.target.dec_deg + rng.uniform(-0.01, 0.01)]
        for _ in range(3 * repeats)
    ]
    radius = 97.0 * product.grid.pixel_deg * u.deg

    def ours(centre):
        return xp.source_mask(product, field, radius, centre=centre)

    def three_circles(centre):
        """Masks from a sky position and an angle, as ours: regions converts each circle to pixels."""
        position = SkyCoord(*centre, unit="deg")
        circles = [CircleSkyRegion(position, radius * f).to_pixel(wcs) for f in (1.0, 1.05, 1.5)]
        masks = [c.to_mask().to_image(SHAPE) == 1 for c in circles]
        return masks[0], masks[2] & ~masks[1]

    def three_pixel_circles(centre):
        """The same when the caller has pixels already; for information, ours still starts from the sky."""
        x, y = (float(v) for v in deg_to_pix(product.grid, *centre))
        masks = [CirclePixelRegion(PixCoord(x, y), 97.0 * f).to_mask().to_image(SHAPE) == 1 for f in (1.0, 1.05, 1.5)]
        return masks[0], masks[2] & ~masks[1]

    for mine, other in zip(ours(centres[0]), three_pixel_circles(centres[0]), strict=True):
        assert np.array_equal(mine, other)
    compare("r500 source and background masks, from the sky", ours, three_circles, centres, limit=0.1, check=check)
    compare("  the same against regions in pixels", ours, three_pixel_circles, centres, limit=1, check=check)


if __name__ == "__main__":
    main()
