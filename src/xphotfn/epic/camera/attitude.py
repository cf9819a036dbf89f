"""The attitude of the spacecraft: reading its history, and merging what differs by less than ``attrebin``."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.events import as_table, scan, table_data
from xphotfn.errors import InvalidFile

__all__ = ("Attitude", "AttitudeTrack", "attitude_bins", "attitude_of", "pointing_of", "read_attitude")

Floats = NDArray[np.float64]

LONGEST_GAP_S = 20.0  # atthkgen gives no attitude where the history has a gap longer than this
FIELD_ARCSEC = 900.0  # radius at which a change of the position angle counts
_EVER = 1e12  # s
MOST_BINS = 5000  # as SAS's eexpmap, which stops with ArrayOutOfRange


class Attitude(NamedTuple):
    """Where the spacecraft points: RA, Dec and position angle in degrees."""

    ra_deg: float
    dec_deg: float
    pa_deg: float


class AttitudeTrack(NamedTuple):
    """An attitude history: arrays of shape (n,), times in s, rising, angles in degrees without NaN.

    RA and position angle are unwrapped, so that they can be interpolated. ``name`` and ``obs_id`` are those of the
    file, ``dropped`` the number of records that were left out. ``still``: one record that holds for all times.
    """

    time: Floats
    ra_deg: Floats
    dec_deg: Floats
    pa_deg: Floats
    name: str
    obs_id: str
    dropped: int
    still: bool = False


def pointing_of(header: Any, name: str) -> AttitudeTrack:
    """Return the pointing that the header of an image gives, as one record that holds for all times.

    Raises
    ------
    InvalidFile
        If RA_PNT, DEC_PNT or PA_PNT is missing.
    """
    values = [header.get(key) for key in ("RA_PNT", "DEC_PNT", "PA_PNT")]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise InvalidFile(name, "has no RA_PNT, DEC_PNT and PA_PNT: give the attitude history of the observation")
    ra, dec, pa = (np.array([float(v)]) for v in values)
    return AttitudeTrack(np.zeros(1), ra, dec, pa, name, str(header.get("OBS_ID", "")).strip(), 0, still=True)


def read_attitude(path: Path) -> AttitudeTrack:
    """Return the attitude history of a file that atthkgen or the pipeline made.

    Raises
    ------
    InvalidFile
        If the file is missing or damaged, has no table ATTHK with TIME, AHFRA, AHFDEC and AHFPA, or no valid record.

    Notes
    -----
    Records with NaN or angles out of range are dropped; of records with the same time the first counts.

    References
    ----------
    SAS atthkgen-1.21, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/atthkgen/.
    """
    blocks = scan(path)
    wanted = ("TIME", "AHFRA", "AHFDEC", "AHFPA")
    tables = [as_table(path, b) for b in blocks[1:] if str(b.header.get("XTENSION", "")).strip() == "BINTABLE"]
    found = [t for t in tables if set(wanted) <= set(t.columns)]
    if not found or not all(found[0].columns[name].is_number for name in wanted):
        names = ", ".join(b.name for b in blocks[1:]) or "only a primary block"
        raise InvalidFile(path.name, f"no attitude history with {', '.join(wanted)} in it, but {names}")
    chunk = table_data(found[0])
    time, ra, dec, pa = (np.asarray(chunk.column(name), dtype=np.float64) for name in wanted)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(time + ra + dec + pa) & (np.abs(dec) <= 90) & (np.abs(ra) <= 360) & (np.abs(pa) <= 360)
    if not good.any():
        raise InvalidFile(path.name, f"none of the {time.size} attitude records is valid")
    times, first = np.unique(time[good], return_index=True)
    turned = (np.unwrap(v[good][first], period=360.0) for v in (ra, pa))
    ra, pa = turned
    obs_id = str(blocks[0].header.get("OBS_ID", found[0].block.header.get("OBS_ID", ""))).strip()
    return AttitudeTrack(times, ra, dec[good][first], pa, path.name, obs_id, int(np.count_nonzero(~good)))


def attitude_at(track: AttitudeTrack, time: Floats) -> tuple[Floats, Floats, Floats]:
    """Return RA, Dec and position angle in degrees at some times, linear between records."""
    ra, dec, pa = (np.interp(time, track.time, v) for v in (track.ra_deg, track.dec_deg, track.pa_deg))
    return ra, dec, pa


def record_edges(track: AttitudeTrack) -> tuple[Floats, NDArray[np.intp]]:
    """Return the times between which each record holds, and the record of each piece.

    Returns
    -------
    tuple
        Rising times of shape (m + 1,), and the record that holds in each of the m pieces: -1 in gaps.

    Notes
    -----
    A record holds up to the middle between its neighbours. Where two are further apart than a gap may be (20 s, or
    one and a half times the usual step), each holds for half the usual step and the rest is a gap.
    """
    if track.still:
        return np.array([-_EVER, _EVER]), np.zeros(1, dtype=np.intp)
    steps = np.diff(track.time)
    usual = float(np.median(steps)) if steps.size else 1.0
    wide = steps > max(LONGEST_GAP_S, 1.5 * usual)
    middle = track.time[:-1] + steps / 2
    lows = np.where(wide, track.time[:-1] + usual / 2, middle)
    highs = np.where(wide, track.time[1:] - usual / 2, middle)
    starts = np.concatenate([[track.time[0] - usual / 2], highs])
    stops = np.concatenate([lows, [track.time[-1] + usual / 2]])
    edges = np.stack([starts, stops], axis=1).ravel()
    records = np.stack([np.arange(track.time.size), np.full(track.time.size, -1)], axis=1).ravel()[:-1]
    keep = np.append(np.diff(edges) > 0, True)
    return edges[keep], np.asarray(records[keep[:-1]], dtype=np.intp)


def attitude_bins(track: AttitudeTrack, seconds: Floats, attrebin: float) -> NDArray[np.intp]:
    """Return the bin of each record: records closer than ``attrebin`` share one, records without time have none (-1).

    Parameters
    ----------
    track
        The history of n records.
    seconds
        Good time of each record, shape (n,).
    attrebin
        Largest change of attitude that is merged, in arcsec.

    Raises
    ------
    InvalidFile
        If more than 5000 bins result, as in SAS.

    Notes
    -----
    A bin starts with a record and takes the following ones as long as they lie within ``attrebin`` of it: the distance
    is the change of pointing, or the change of position angle times 15 arcmin if that is more. A bin that starts
    within ``attrebin`` of the start of an earlier one joins that.
    """
    used = np.flatnonzero(seconds > 0)
    vectors = _vectors(track, used)
    bins = np.full(track.time.size, -1, dtype=np.intp)
    starts: list[NDArray[np.float64]] = []
    at = 0
    while at < used.size:
        end = _run_end(vectors, at, attrebin)
        near = np.flatnonzero(_distance(np.array(starts), vectors[at]) <= attrebin) if starts else np.array([], int)
        if near.size == 0:
            if len(starts) == MOST_BINS:
                raise InvalidFile(
                    track.name,
                    f"moves through more than {MOST_BINS} bins of {attrebin:g} arcsec: give a larger attrebin",
                )
            starts.append(vectors[at])
        bins[used[at:end]] = near[0] if near.size else len(starts) - 1
        at = end
    return bins


def _vectors(track: AttitudeTrack, used: NDArray[np.intp]) -> Floats:
    """Return pointing as a vector and position angle, all scaled to arcsec, shape (n, 4)."""
    ra, dec, pa = (np.deg2rad(v[used]) for v in (track.ra_deg, track.dec_deg, track.pa_deg))
    point = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return np.concatenate([point * np.rad2deg(3600.0), (pa * FIELD_ARCSEC)[:, None]], axis=1)


def _distance(first: Floats, second: Floats) -> Floats:
    delta = first - second
    return np.asarray(np.maximum(np.sqrt(np.sum(delta[:, :3] ** 2, axis=1)), np.abs(delta[:, 3])))


def _run_end(vectors: Floats, at: int, attrebin: float) -> int:
    """Return the first record from ``at`` that lies further than ``attrebin`` from it."""
    low, length = at + 1, 64
    while low < len(vectors):
        away = np.flatnonzero(_distance(vectors[low : low + length], vectors[at]) > attrebin)
        if away.size:
            return low + int(away[0])
        low, length = low + length, 4 * length
    return len(vectors)


def attitude_of(track: AttitudeTrack, chosen: NDArray[np.bool_], seconds: Floats) -> Attitude:
    """Return the mean attitude of some records, weighted with their good time."""
    weight = seconds[chosen] / seconds[chosen].sum()
    # RA is unwrapped; near a pole the mean of vectors would differ, but records of one bin are arcseconds apart
    ra, dec = np.deg2rad(track.ra_deg[chosen]), np.deg2rad(track.dec_deg[chosen])
    mean = [float(np.sum(weight * v)) for v in (np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec))]
    right = float(np.mod(np.rad2deg(np.arctan2(mean[1], mean[0])), 360.0))
    up = float(np.rad2deg(np.arctan2(mean[2], np.hypot(mean[0], mean[1]))))
    return Attitude(right, up, float(np.sum(weight * track.pa_deg[chosen])))
