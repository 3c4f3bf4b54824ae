"""`python -m evaluation`: how matching does on worlds with known truth, beside simpler ways of matching."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from worlds import SCENARIOS
from worlds.real import find_stores, grow, unpack

from evaluation.matchers import MATCHERS, is_here, measure
from evaluation.outcomes import Score
from evaluation.tables import mistakes_list, reliability_table, scenario_table, times_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Job:
    """One world to be made and measured; `store` is what it is grown on, None for one that is wholly drawn."""

    scenario: str
    seed: int
    size: int
    matchers: tuple[str, ...]
    store: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables to standard output; return 0."""
    options = _parse(arguments)
    with TemporaryDirectory() as folder:
        jobs = _real_jobs(options, folder) if options.real else _jobs(options)
        scenarios = list(dict.fromkeys(job.scenario for job in jobs))
        matchers = _matchers(options)
        totals = {(scenario, matcher): Score() for scenario in scenarios for matcher in matchers}
        for key, found in _results(jobs, options.processes):
            totals[key] += found
    out = [scenario_table(totals, scenarios, matchers)]
    out += [reliability_table(totals, scenarios, matcher) for matcher in matchers]
    if options.mistakes:
        out.append(mistakes_list(totals))
    if options.times:
        out.append(times_table(totals, matchers))
    sys.stdout.write("\n".join(part for part in out if part))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="default: all")
    parser.add_argument("--real", metavar="PATH", help="a folder or archive of real stores to grow worlds on instead")
    parser.add_argument(
        "--matcher", action="append", choices=MATCHERS, help="default: all that infer the zone and are installed"
    )
    parser.add_argument("--seeds", type=int, default=6, help="worlds per scenario (default 6)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--size", type=int, default=60, help="about so many directories a world (default 60)")
    parser.add_argument("--processes", type=int, default=2, help="worlds measured at a time (default 2)")
    parser.add_argument("--mistakes", action="store_true", help="list every wrong rename")
    parser.add_argument("--times", action="store_true", help="say how long matching took")
    return parser.parse_args(arguments)


def _matchers(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(options.matcher or (name for name in MATCHERS if name != "ckpt-migrate+zone" and is_here(name)))


def _seeds(options: argparse.Namespace) -> range:
    return range(options.first_seed, options.first_seed + options.seeds)


def _jobs(options: argparse.Namespace) -> list[Job]:
    scenarios = options.scenario or list(SCENARIOS)
    matchers = _matchers(options)
    return [Job(scenario, seed, options.size, matchers) for scenario in scenarios for seed in _seeds(options)]


def _real_jobs(options: argparse.Namespace, folder: str) -> list[Job]:
    """Return the jobs on real stores; an archive is unpacked into the folder first."""
    if os.path.isfile(options.real):
        unpack(options.real, folder)
    else:
        folder = options.real
    matchers = _matchers(options)
    return [
        Job(name, seed, options.size, matchers, store)
        for name, store in find_stores(folder).items()
        for seed in _seeds(options)
    ]


def _results(jobs: Sequence[Job], processes: int) -> Iterable[tuple[tuple[str, str], Score]]:
    """Yield scenario, matcher and score of every job, in order."""
    if processes == 1:
        for job in jobs:
            yield from _measure(job)
        return
    with ProcessPoolExecutor(processes) as pool:
        for measured in pool.map(_measure, jobs):
            yield from measured


def _measure(job: Job) -> list[tuple[tuple[str, str], Score]]:
    if job.store is None:
        world = SCENARIOS[job.scenario](job.seed, job.size)
    else:
        world = grow(job.scenario, job.store, job.seed)
    return [((job.scenario, matcher), measure(world, matcher)) for matcher in job.matchers]


if __name__ == "__main__":
    sys.exit(main())
