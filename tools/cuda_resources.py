"""Check what the CUDA compiler says of each kernel's resources, and keep it as a table.

Usage: python tools/cuda_resources.py BUILD_FOLDER [--write docs/gpu.md | --check docs/gpu.md]

The build leaves ptxas's report beside each object file (`<object>.resources`). A kernel may use neither a stack frame
nor spilled registers at any architecture: both are memory traffic that no one sees. `--write` puts the table between its
two comment lines in a page; `--check` says whether it lists the same kernels and architectures (registers may differ
with the compiler's version).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

BEGIN, END = "<!-- begin cuda_resources -->", "<!-- end cuda_resources -->"
ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


class Kernel(NamedTuple):
    """One kernel at one architecture."""

    name: str
    architecture: str
    registers: int
    on_stack: int  # bytes of stack frame and spills


def kernels(reports: list[Path]) -> list[Kernel]:
    """All of them, in the order of the reports."""
    found = []
    for report in reports:
        symbol = architecture = ""
        on_stack = 0
        for line in report.read_text().splitlines():
            if entry := ENTRY.search(line):
                symbol, architecture = entry.groups()
            elif stack := STACK.search(line):
                on_stack = sum(map(int, stack.groups()))
            elif symbol and (used := USED.search(line)):
                found.append(Kernel(symbol, architecture, int(used[1]), on_stack))
                symbol = ""
    names = demangled([kernel.name for kernel in found])
    return [kernel._replace(name=name) for kernel, name in zip(found, names, strict=True)]


def demangled(symbols: list[str]) -> list[str]:
    """Names with template arguments, without namespaces and parameters."""
    command = ["c++filt", *symbols]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    short = []
    for line in lines:
        plain = re.sub(r"\(anonymous namespace\)::|\b\w+::", "", line)
        short.append(re.sub(r"^void ", "", plain.split("(")[0]))
    return short


def table(found: list[Kernel]) -> str:
    """In Markdown: a row a kernel, a column an architecture, registers in it."""
    architectures = sorted({k.architecture for k in found}, key=lambda a: int(a.split("_")[1]))
    rows: dict[str, dict[str, Kernel]] = defaultdict(dict)
    for kernel in found:
        rows[kernel.name][kernel.architecture] = kernel
    lines = [
        "| kernel | " + " | ".join(architectures) + " | stack frame, spills |",
        "|---|" + "---:|" * (len(architectures) + 1),
    ]
    for name, at in rows.items():
        registers = [str(at[a].registers) if a in at else "" for a in architectures]
        worst = max(kernel.on_stack for kernel in at.values())
        lines.append(f"| `{name}` | " + " | ".join(registers) + f" | {worst} |")
    return "\n".join(lines)


def without_registers(markdown: str) -> list[str]:
    """The names of a table, and its heads."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return sorted([lines[0], *(line.split("|")[1] for line in lines[2:])]) if lines else []


def main() -> int:
    """The exit status is 1 if a kernel uses memory for registers, or a table is not up to date."""
    parser = argparse.ArgumentParser(description="Resources of the CUDA kernels.")
    parser.add_argument("build", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--check", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    reports = sorted(arguments.build.glob("CMakeFiles/fourfold_cuda.dir/**/*.resources"))
    found = kernels(reports)
    if not found:
        print(f"{arguments.build}: no report of a CUDA kernel; built with FOURFOLD_CUDA=OFF?")
        return 1
    content = table(found)
    print(content)
    wrong = [k for k in found if k.on_stack > 0]
    for kernel in wrong:
        print(f"{kernel.name} uses {kernel.on_stack} bytes of stack at {kernel.architecture}")
    page: Path | None = arguments.write or arguments.check
    if page is not None:
        text = page.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        kept, after = rest.split(END)
        if arguments.write:
            page.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}", encoding="utf-8")
        elif without_registers(kept) != without_registers(content):
            print(f"{page} lists other kernels: python {sys.argv[0]} BUILD_FOLDER --write {page}")
            return 1
    print(f"{len(found)} kernels, {len(wrong)} of them with a stack frame or spills")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
