"""Compare our samplers with those that people use: `python -m tests.benchmarks.samplers FOLDER`."""

import argparse
from pathlib import Path

from rich.progress import track

from tests.benchmarks.samplers.contenders import CONTENDERS, warm_up
from tests.benchmarks.samplers.measurement import measured
from tests.benchmarks.samplers.report import write_json, write_plot, write_table

SIZES = (10**4, 10**6, 10**7, 10**9, 10**12)
NUM_RANKS = (1, 8, 1024)


def main() -> None:
    """Measure everything that is installed and fits, and write table, figures and plot."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.samplers", description=__doc__)
    parser.add_argument("folder", type=Path, help="where samplers.txt, samplers.json and samplers.png go")
    parser.add_argument("--max-samples", type=float, default=1e12, help="largest data set (default: %(default)g)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    present = [contender for contender in CONTENDERS if contender.available]
    skipped = [
        f"{contender.name}: {contender.package} is not installed" for contender in CONTENDERS if not contender.available
    ]
    warm_up()
    cases = [
        (contender, size, num_ranks)
        for size in SIZES
        for num_ranks in NUM_RANKS
        for contender in present
        if size <= min(arguments.max_samples, contender.max_num_samples)
    ]
    measurements = []
    for case in track(cases, description="measuring"):
        measurements.append(measured(*case))
        # What was measured is kept if somebody loses patience.
        write_json(measurements, skipped, arguments.folder / "samplers.json")
    write_table(measurements, arguments.folder / "samplers.txt")
    try:
        write_plot(measurements, arguments.folder / "samplers.png")
    except ModuleNotFoundError as error:
        skipped.append(f"samplers.png: {error.name} is not installed")
    for line in skipped:
        print(f"skipped {line}")


if __name__ == "__main__":
    main()
