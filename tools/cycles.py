"""Cycles of the register blocks' inner loops on Arm processors, from LLVM's machine-code analyser.

    python tools/cycles.py                     Neoverse V2 and Apple M1
    python tools/cycles.py --cpu neoverse-n1   any of LLVM's names of processors

The blocks are made twice: as for 16 vector registers, and as for the 32 of these processors.
Nothing is run, so the machine at hand need not be one of them. A row has the cycles of one
step of a block's inner loop, the vector multiply-adds in it, multiply-adds a cycle, and how many of
the loop's instructions load or store registers that did not fit.

The arrays are float64. The figures are those of LLVM's models, with all data in the first-level
cache. Neoverse V2 has four units for multiply-adds. LLVM describes Apple's processors by a model of
an older one with two such units, where the M1 has four.

This needs llvm-mca on the path: ``apt install llvm-19``, or another version.
"""

import argparse
import inspect
import os
import re
import shutil
import subprocess
import sys

CPUS = ("neoverse-v2", "apple-m1")
TRIPLE = "aarch64-unknown-linux-gnu"
ANALYSERS = (*(f"llvm-mca-{version}" for version in range(30, 15, -1)), "llvm-mca")
ARRAYS = {"w", "out", "sums", "tile", "group", "closest", "weight", "potential"}


def blocks():
    """Return the intrinsics that are analysed, by name."""
    from fastgmm.kernels import moments
    from fastgmm.kernels.micro import blocks, rows
    from fastgmm.kernels.micro.vectors import STRIP_VECTORS

    return {
        "row norms": blocks.row_norms_block(blocks.NORM_ROWS, STRIP_VECTORS),
        "distances": blocks.distances_block(4, blocks.plain_difference),
        "scaled distances": blocks.distances_block(4, blocks.scaled_difference),
        "weighted Gram": blocks.add_weighted_gram,
        "its diagonal": blocks.add_weighted_corner,
        "products": moments._product_block,
        "gathered Gram": moments._gram_block,
        "conditional means": blocks.add_weighted_rows,
        "k-means": rows.center_distances_block(4),
        "k-means++": rows.try_candidates,
    }


def type_of(name):
    """Return the Numba type of an intrinsic's parameter: arrays have names of their own."""
    from numba import types

    if name == "places":
        return types.Array(types.intp, 1, "C")
    return types.Array(types.float64, 1, "C") if name.isupper() or name in ARRAYS else types.intp


def assembly_of(block, machine):
    """Return the assembly of a function that does nothing but call an intrinsic."""
    import numba
    from llvmlite import binding

    names = list(inspect.signature(block.__wrapped__).parameters)[1:]
    scope = {"block": block}
    exec(f"def caller({', '.join(names)}):\n    block({', '.join(names)})", scope)
    signature = tuple(type_of(name) for name in names)
    caller = numba.njit(signature, fastmath={"contract", "nsz"}, _nrt=False)(scope["caller"])
    text = caller.inspect_llvm(signature)
    text = re.sub(r"^target (triple|datalayout).*$", "", text, flags=re.M)
    module = binding.parse_assembly(text)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


def inner_loop(assembly):
    """Return the instructions of the loop, without loops inside it, with most multiply-adds."""
    loops, label, body = [[]], None, []
    for line in assembly.splitlines():
        if found := re.match(r"(\.LBB\w+):", line):
            label, body = found[1], []
        elif line.startswith("\t") and not line.startswith("\t."):
            body.append(line)
            if label and re.search(rf"\s{re.escape(label)}$", line):
                loops.append(list(body))
    return max(loops, key=multiply_adds)


def multiply_adds(instructions):
    return sum(bool(re.match(r"\s+fml[as]\s+v", line)) for line in instructions)


def cycles_of(loop, cpu, analyser):
    """Return the cycles of one round of a loop."""
    rounds = 1000
    command = [analyser, f"-mtriple={TRIPLE}", f"-mcpu={cpu}", f"-iterations={rounds}"]
    done = subprocess.run(command, input="\n".join(loop), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / rounds


def analyse(registers, cpus, analyser):
    """Print a row for each block and processor."""
    from fastgmm.jit import intrinsics

    intrinsics.vector_registers = lambda: (16, registers)  # before the kernels are imported
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    for cpu in cpus:
        machine = binding.Target.from_triple(TRIPLE).create_target_machine(cpu=cpu, opt=3)
        for name, block in blocks().items():
            loop = inner_loop(assembly_of(block, machine))
            cycles, useful = cycles_of(loop, cpu, analyser), multiply_adds(loop)
            spilled = sum("[sp" in line for line in loop)
            print(
                f"{cpu:12} {name:18} {registers:9} {cycles:7.2f} {useful:13} "
                f"{useful / cycles:8.2f} {spilled:7}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", nargs="+", default=CPUS, help="LLVM's names of processors")
    parser.add_argument("--registers", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    analyser = next(filter(shutil.which, ANALYSERS), None)
    if analyser is None:
        sys.exit("llvm-mca is missing: apt install llvm-19")
    if arguments.registers:
        analyse(arguments.registers, arguments.cpu, analyser)
        return
    print("processor    block              registers  cycles multiply-adds a cycle spilled")
    for registers in ("16", "32"):  # the blocks' sizes are fixed as their modules are imported
        environment = {**os.environ, "NUMBA_OPT": "0"}  # LLVM shall optimise for Arm only
        command = [sys.executable, *sys.argv, "--registers", registers]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
