"""The suite: ``python -m benchmarks`` compares xphotfn with peers and floors and writes one page.

    python -m benchmarks [--small] [--check] [--only WORD] [--calls N] [--peers PYTHON] [--data FOLDER] [--write]

``--peers`` names the Python of an environment that has XGA and the other peers; a row whose peer is not there says so.
``--data`` is the folder that holds the real observations (``a907``), without which one row is left out. ``--small``
takes small inputs and few calls, to see that everything runs. ``--check`` ends with status 1 where a row is not as
wanted. ``--write`` puts the page where the documentation shows it, docs/tables/benchmarks.inc.
"""

import argparse
import datetime as dt
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import inputs
from benchmarks.harness import ROOT, compare
from benchmarks.rows import ROWS

PEERS = ("xga", "photutils", "reproject", "gammapy", "regions", "fast-histogram", "astropy", "numpy", "scipy")
ASK = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "not there")
"""
PAGE = ROOT / "docs" / "tables" / "benchmarks.inc"


def main():
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = inputs.make(folder, options.small)
        rows = [row for row in ROWS if options.only in f"{row.work} {row.theirs.name}"]
        if options.data is None or options.small:
            rows = [row for row in rows if row.ours.function != "process_snr"]
        else:
            facts["a907"] = str(options.data / "a907")
            (folder / "facts.json").write_text(inputs.json.dumps(facts))
        results = []
        for row in rows:
            row = row if options.calls is None else row._replace(calls=options.calls)
            found = compare(row, folder, peers=options.peers, small=options.small)
            results.append(found)
            print(_line(found), flush=True)
            if options.write:
                PAGE.write_text(_page(results, options.peers))
    wrong = [
        r for r in results if (r.problem and "not installed" not in r.problem) or (options.check and not r.reached)
    ]
    if wrong and (options.check or options.small):
        raise SystemExit(f"{len(wrong)} rows are not as wanted")


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="", help="rows that hold this text")
    parser.add_argument("--calls", type=int, help="how often each side works, in place of the number of each row")
    parser.add_argument("--peers", default=os.environ.get("XPHOTFN_PEERS", sys.executable))
    parser.add_argument("--data", type=Path, default=os.environ.get("XPHOTFN_TEST_DATA"))
    options = parser.parse_args()
    options.data = None if options.data is None else Path(options.data)
    return options


def _line(found):
    row = found.row
    head = f"{row.work}, against {row.theirs.name}:"
    if found.problem:
        return f"{head} not measured: {found.problem.strip().splitlines()[-1]}"
    return f"{head} {_ratio(found)} ({found.low:.3g} to {found.high:.3g}), wanted {_wanted(row)}; {_cost(found)}"


def _ratio(found):
    return f"{found.ratio:.3g} x faster" if found.ratio >= 1 else f"{1 / found.ratio:.2f} x as long"


def _wanted(row):
    words = [f"{row.at_least:g} x faster"] if row.at_least else []
    words += [f"at most {row.at_most:g} x as long"] if row.at_most else []
    return ", ".join(words + ([f"below {row.most_mb:g} MB"] if row.most_mb else []))


def _cost(found):
    seconds = f"{1e3 * found.ours_s:.3g} and {1e3 * found.theirs_s:.3g} ms"
    return f"{seconds}, {found.ours_mb[0]:.0f} and {found.theirs_mb[0]:.0f} MB"


def _page(results, peers):
    lines = [
        f"Measured on {dt.date.today():%Y-%m-%d} by `python -m benchmarks --write`: {_machine()}.",
        f"Versions: {_versions(sys.executable, ('xphotfn', *PEERS[-3:]))}; of the peers: {_versions(peers, PEERS)}.",
        "",
        "| work | against | ratio of CPU time (range of pairs) | wanted | CPU ms, ours and theirs | peak MB | |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in results:
        row = found.row
        if found.problem:
            lines.append(f"| {row.work} | {row.theirs.name} | not measured | {_wanted(row)} | | | |")
            continue
        pairs = (
            f"{found.low:.3g} to {found.high:.3g}"
            if found.ratio >= 1
            else f"{1 / found.high:.2f} to {1 / found.low:.2f}"
        )
        times = f"{1e3 * found.ours_s:.3g}, {1e3 * found.theirs_s:.3g}"
        memory = f"{found.ours_mb[0]:.0f}, {found.theirs_mb[0]:.0f}"
        cells = row.work, row.theirs.name, f"{_ratio(found)} ({pairs})", _wanted(row), times, memory
        lines.append(f"| {' | '.join(cells)} | {'' if found.reached else 'missed'} |")
    return "\n".join(lines) + "\n"


def _machine():
    model = next(
        (line.split(":")[1].strip() for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores, {model}, {platform.system()}, Python {platform.python_version()}"


def _text(path):
    return Path(path).read_text() if Path(path).exists() else ""


def _versions(python, names):
    found = subprocess.run([python, "-c", ASK, *names], capture_output=True, text=True, check=True).stdout
    return ", ".join(found.splitlines())


if __name__ == "__main__":
    main()
