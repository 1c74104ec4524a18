"""Run as a process of its own by `mcomp.deploy.openvino`: an .onnx file in, an .xml and a .bin file out."""

import sys

import openvino

if __name__ == "__main__":
    source, target = sys.argv[1:]
    openvino.save_model(openvino.Core().read_model(source), target, compress_to_fp16=False)
