"""Run as a process of its own by `mcomp.deploy.litert`: an exported program in, a .tflite file out."""

import sys

import litert_torch
import torch

if __name__ == "__main__":
    source, target = sys.argv[1:]
    program = torch.export.load(source)
    litert_torch.convert(program.module(), program.example_inputs[0]).export(target)
