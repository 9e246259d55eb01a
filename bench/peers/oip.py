"""What every peer needs and does alike: a session with one thread, and the bodies of the Open Inference Protocol."""

import json
import os

import numpy as np
import onnxruntime as ort

try:  # Three times json's speed; installed where the framework itself depends on it or recommends it.
    import orjson

    loads, dumps = orjson.loads, orjson.dumps
except ImportError:
    loads = json.loads

    def dumps(value):
        return json.dumps(value, separators=(",", ":")).encode()


MODEL_PATH = os.environ["PEER_MODEL"]
NAME = os.environ["PEER_NAME"]
PORT = int(os.environ["PEER_PORT"])
INFER_PATH = f"/v2/models/{NAME}/infer"


def open_session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(MODEL_PATH, options, providers=["CPUExecutionProvider"])


def input_of(request):
    """The only input of a JSON request."""
    tensor = request["inputs"][0]
    return np.asarray(tensor["data"], dtype=np.float32).reshape(tensor["shape"])


def response_of(y):
    output = {"name": "y", "datatype": "FP32", "shape": list(y.shape), "data": y.ravel().tolist()}
    return {"model_name": NAME, "outputs": [output]}


def binary_input_of(body, header_length):
    """The only input of a request whose tensor follows its JSON."""
    tensor = loads(body[:header_length])["inputs"][0]
    return np.frombuffer(body, dtype="<f4", offset=header_length).reshape(tensor["shape"])


def binary_response_of(y):
    """Body and length of its JSON."""
    data = y.tobytes()
    parameters = {"binary_data_size": len(data)}
    output = {"name": "y", "datatype": "FP32", "shape": list(y.shape), "parameters": parameters}
    header = dumps({"model_name": NAME, "outputs": [output]})
    return header + data, len(header)
