"""Run as a process of its own by `mcomp.deploy.executorch`: an exported program in, a .pte file out."""

import sys
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers the operators of the pairs

if __name__ == "__main__":
    source, target = sys.argv[1:]
    program = to_edge_transform_and_lower(torch.export.load(source), partitioner=[XnnpackPartitioner()])
    Path(target).write_bytes(program.to_executorch().buffer)
