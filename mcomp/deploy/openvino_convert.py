"""Run as a process of its own by `mcomp.deploy.openvino`: an .onnx file in, an .xml and a .bin file out.

A third argument is the batch that the file will take.
"""

import sys

import openvino

if __name__ == "__main__":
    source, target, *batch = sys.argv[1:]
    network = openvino.Core().read_model(source)
    if batch:
        shape = network.inputs[0].partial_shape
        shape[0] = int(batch[0])
        network.reshape(shape)
    openvino.save_model(network, target, compress_to_fp16=False)
