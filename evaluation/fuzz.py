"""`python -m evaluation.fuzz --seconds 60`: break files of every kind, and see that no reader leaves its bounds.

With atheris installed (`pip install atheris`) it chooses what to break by what the readers' code does; without it, by
chance, from a seed that is printed. A file that makes a reader raise anything but its own error, or take longer than
SLOWEST_S, is kept beside and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from evidence.corpus import broken, read_with_all, whole_files

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOWEST_S = 5.0
"""No reader may take longer for a file of some kilobytes, seconds."""
_NAME_BYTES = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz for some seconds; return 1 when a file was found that is not borne."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m evaluation.fuzz", description=about)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier call without atheris")
    options = parser.parse_args(arguments)
    if options.seed is None and importlib.util.find_spec("atheris") is not None:
        return _with_atheris(options.seconds)
    return _by_chance(options.seconds, time.time_ns() % 2**32 if options.seed is None else options.seed)


def _by_chance(seconds: float, seed: int) -> int:
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    files = whole_files()
    names = sorted(files)
    ends_s, count, facts = time.monotonic() + seconds, 0, 0
    with TemporaryDirectory() as folder:
        while time.monotonic() < ends_s:
            name = rng.choice(names)
            data = broken(files[name], rng)
            started_s = time.process_time()
            try:
                facts += read_with_all(Path(folder), name, data)
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                return _keep(name, data, traceback.format_exc())
            if time.process_time() - started_s > SLOWEST_S:
                return _keep(name, data, f"took {time.process_time() - started_s:.1f} s")
            count += 1
    sys.stdout.write(
        f"seed {seed}: {count:,} files of {len(names)} kinds, {facts:,} facts; every reader kept its bounds\n"
    )
    return 0


def _with_atheris(seconds: float) -> int:
    import atheris  # noqa: PLC0415 - not a dependency: there is another way without it

    names = sorted(whole_files())
    with TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for place, name in enumerate(names):
            (corpus / str(place)).write_bytes(bytes([place]) + whole_files()[name])
        Path(folder, "work").mkdir()

        def try_one(data: bytes) -> None:
            if data:
                read_with_all(Path(folder, "work"), names[data[0] % len(names)], data[_NAME_BYTES:])

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-timeout=30", str(corpus)], try_one)
        atheris.Fuzz()
    return 0


def _keep(name: str, data: bytes, what: str) -> int:
    path = Path(f"fuzz-{name.replace('/', '_')}")
    path.write_bytes(data)
    sys.stdout.write(f"{what}\nA reader of {name} does not bear {path}.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
