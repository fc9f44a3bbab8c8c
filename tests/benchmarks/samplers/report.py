"""Measurements as a table, as JSON and as a picture: all from the same figures."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.samplers.measurement import Measurement

PANELS = (
    ("first_s", "to the first, s"),
    ("seek_s", "to the middle, s"),
    ("samples_per_s", "samples a second"),
    ("peak_bytes", "peak memory, bytes"),
)


def write_table(measurements: Sequence[Measurement], path: Path) -> None:
    """Print the table, and keep it as text."""
    table = Table(title="Samplers: one rank's share of a shuffled epoch")
    table.add_column("contender")
    table.add_column("unit")
    for header in ("samples", "ranks", "first", "middle", "million samples/s", "peak MiB", "state"):
        table.add_column(header, justify="right")
    for m in sorted(measurements, key=lambda m: (m.unit, m.num_ranks, m.num_samples)):
        table.add_row(
            m.contender,
            m.unit,
            f"{m.num_samples:.0e}",
            str(m.num_ranks),
            f"{m.first_s * 1000:.2f} ms",
            f"{m.seek_s * 1000:.2f} ms",
            f"{m.samples_per_s / 1e6:.2f}",
            f"{m.peak_bytes / 2**20:.1f}",
            "-" if m.state_s is None else f"{m.state_s * 1e6:.0f} µs",
        )
    Console(width=140).print(table)
    with path.open("w") as file:
        Console(file=file, width=140).print(table)


def write_json(measurements: Sequence[Measurement], skipped: Sequence[str], path: Path) -> None:
    """Write every figure, and what was left out."""
    content = {"measurements": [asdict(m) for m in measurements], "skipped": list(skipped)}
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw every figure over the number of samples, a column for each number of ranks.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    # Heavy, and all else works without it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    num_ranks = sorted({m.num_ranks for m in measurements})
    figure = Figure(figsize=(7 * len(num_ranks), 4 * len(PANELS)), layout="constrained")
    grid = figure.subplots(len(PANELS), len(num_ranks), squeeze=False)
    for row, (field, label) in zip(grid, PANELS, strict=True):
        for axes, ranks in zip(row, num_ranks, strict=True):
            for name, unit in sorted({(m.contender, m.unit) for m in measurements}):
                line = [m for m in measurements if (m.contender, m.unit, m.num_ranks) == (name, unit, ranks)]
                style = {"marker": "o", "linestyle": "-" if unit == "sample" else "--"}
                axes.plot(
                    [m.num_samples for m in line], [getattr(m, field) for m in line], label=f"{name} ({unit})", **style
                )
            axes.set(
                xscale="log", yscale="log", xlabel="samples in the data set", ylabel=label, title=f"{ranks} rank(s)"
            )
            axes.grid(visible=True, alpha=0.3)
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)
