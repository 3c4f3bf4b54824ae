"""`python -m evaluation`: how matching does on worlds with known truth, beside simpler ways of matching."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from worlds import SCENARIOS

from evaluation.matchers import MATCHERS, measure
from evaluation.outcomes import Score
from evaluation.tables import mistakes_list, reliability_table, scenario_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables to standard output; return 0."""
    options = _parse(arguments)
    scenarios = options.scenario or list(SCENARIOS)
    matchers = options.matcher or [name for name in MATCHERS if name != "ckpt-migrate+zone"]
    jobs = [
        (scenario, seed, options.size, matchers)
        for scenario in scenarios
        for seed in range(options.first_seed, options.first_seed + options.seeds)
    ]
    totals = {(scenario, matcher): Score() for scenario in scenarios for matcher in matchers}
    if options.processes == 1:
        _collect(totals, map(_measure, jobs))
    else:
        with ProcessPoolExecutor(options.processes) as pool:
            _collect(totals, pool.map(_measure, jobs, chunksize=1))
    out = [scenario_table(totals, scenarios, matchers)]
    out += [reliability_table(totals, scenarios, matcher) for matcher in matchers]
    if options.mistakes:
        out.append(mistakes_list(totals))
    sys.stdout.write("\n".join(part for part in out if part))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="default: all")
    parser.add_argument("--matcher", action="append", choices=MATCHERS, help="default: all that infer the zone")
    parser.add_argument("--seeds", type=int, default=6, help="worlds per scenario (default 6)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--size", type=int, default=60, help="about so many directories a world (default 60)")
    parser.add_argument("--processes", type=int, default=2, help="worlds measured at a time (default 2)")
    parser.add_argument("--mistakes", action="store_true", help="list every wrong rename")
    return parser.parse_args(arguments)


def _measure(job: tuple[str, int, int, list[str]]) -> list[tuple[tuple[str, str], Score]]:
    scenario, seed, size, matchers = job
    world = SCENARIOS[scenario](seed, size)
    return [((scenario, matcher), measure(world, matcher)) for matcher in matchers]


def _collect(totals: dict[tuple[str, str], Score], results: Iterable[list[tuple[tuple[str, str], Score]]]) -> None:
    for measured in results:
        for key, found in measured:
            totals[key] += found


if __name__ == "__main__":
    sys.exit(main())
