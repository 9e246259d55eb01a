"""What KServe's gRPC client gets from our gRPC server."""

import asyncio
import logging

import grpc
from checks import check, raises, run, same
from kserve import InferenceGRPCClient, InferInput, InferRequest
from samples import NON_FINITE, SAMPLES, Reference, rows

logging.disable(logging.ERROR)


def ask(target, question):
    """Runs a coroutine function with a client."""

    async def asked():
        async with InferenceGRPCClient(target.grpc, retries=0) as client:
            return await question(client)

    return asyncio.run(asked())


def infer(target, model, given, raw=True, timeout=20, **request):
    inputs = []
    for name, (datatype, array) in given.items():
        each = InferInput(name, list(array.shape), datatype)
        # As lists they travel in the typed fields of the message, else as raw bytes.
        each.set_data_from_numpy(array, binary_data=raw)
        inputs.append(each)
    body = InferRequest(model, inputs, **request)
    return ask(target, lambda client: client.infer(body, timeout=timeout))


def output(answer, name):
    return next(each for each in answer.outputs if each.name == name).as_numpy()


@check("health: live and ready, known and unknown models")
def health(target):
    async def question(client):
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("simple")

    ask(target, question)
    unknown = lambda: ask(target, lambda client: client.is_model_ready("nobody"))
    try:
        assert not unknown()
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


for datatype, sample in SAMPLES.items():
    for form, is_raw in (("raw bytes", True), ("typed contents", False)):
        if datatype == "FP16" and not is_raw:
            continue  # The message has no field for it.

        @check(f"{datatype} as {form}, bit for bit")
        def values(target, datatype=datatype, sample=sample, is_raw=is_raw):
            model = f"id_{datatype.lower()}"
            same(output(infer(target, model, {"x": (datatype, sample)}, is_raw), "x_out"), sample)


@check("NaN payloads, infinities and denormals")
def non_finite(target):
    answer = infer(target, "id_fp32", {"x": ("FP32", NON_FINITE)})
    same(output(answer, "x_out"), NON_FINITE)


@check("a computed output equals ONNX Runtime's bit for bit")
def reference(target):
    given = rows(16, seed=1)
    expected = Reference(target.models, "curve")(x=given)["y"]
    for raw in (True, False):
        same(output(infer(target, "curve", {"x": ("FP32", given)}, raw), "y"), expected)


@check("request id, version and parameters come back")
def identity(target):
    answer = infer(target, "id_fp32", {"x": ("FP32", SAMPLES["FP32"])}, request_id="r-1")
    assert answer.id == "r-1" and answer.model_version == "1", answer
    assert answer.parameters["arm"].string_param == "stable", answer


@check("errors say what is wrong, with gRPC's status")
def errors(target):
    given = {"x": ("FP32", SAMPLES["FP32"])}
    for code, part, model in (
        (grpc.StatusCode.NOT_FOUND, "nobody", "nobody"),
        (grpc.StatusCode.INVALID_ARGUMENT, "shape", "matrix"),
    ):
        error = raises(grpc.RpcError, lambda: infer(target, model, given), part)
        assert error.code() == code, error


run()
