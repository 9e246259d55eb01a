"""What KServe's REST client gets from our REST server."""

import asyncio
import logging

import httpx
from checks import check, raises, run, same
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from samples import NON_FINITE, SAMPLES, Reference, rows

logging.disable(logging.ERROR)


def ask(target, question):
    """Runs a coroutine function with a client and the base URL."""

    async def asked():
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
            return await question(client, f"http://{target.http}")

    return asyncio.run(asked())


def infer(target, model, given, binary, outputs=None, **request):
    inputs = []
    for name, (datatype, array) in given.items():
        each = InferInput(name, list(array.shape), datatype)
        each.set_data_from_numpy(array, binary_data=binary)
        inputs.append(each)
    wanted = [
        RequestedOutput(name, {"binary_data": binary}) for name in outputs or []
    ]
    body = InferRequest(model, inputs, request_outputs=wanted or None, **request)
    return ask(target, lambda client, url: client.infer(url, body, model_name=model))


def output(answer, name):
    return next(each for each in answer.outputs if each.name == name).as_numpy()


@check("health: live and ready, known and unknown models")
def health(target):
    async def question(client, url):
        assert await client.is_server_live(url)
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, "simple")
        assert not await client.is_model_ready(url, "nobody")

    ask(target, question)


for datatype, sample in SAMPLES.items():
    for form, binary in (("binary", True), ("JSON", False)):
        if datatype == "FP16" and not binary:
            continue

        @check(f"{datatype} as {form}, bit for bit")
        def values(target, datatype=datatype, sample=sample, binary=binary):
            model = f"id_{datatype.lower()}"
            answer = infer(target, model, {"x": (datatype, sample)}, binary, ["x_out"])
            same(output(answer, "x_out"), sample)


@check("NaN payloads, infinities and denormals as binary")
def non_finite(target):
    answer = infer(target, "id_fp32", {"x": ("FP32", NON_FINITE)}, True, ["x_out"])
    same(output(answer, "x_out"), NON_FINITE)


@check("a computed output equals ONNX Runtime's bit for bit")
def reference(target):
    given = rows(16, seed=1)
    expected = Reference(target.models, "curve")(x=given)["y"]
    for binary in (True, False):
        same(output(infer(target, "curve", {"x": ("FP32", given)}, binary, ["y"]), "y"), expected)


@check("request id, version and parameters come back")
def identity(target):
    answer = infer(target, "id_fp32", {"x": ("FP32", SAMPLES["FP32"])}, True, request_id="r-1")
    # The client's InferResponse leaves out the version that the body has.
    assert answer.id == "r-1", answer
    assert answer.parameters["arm"] == "stable", answer


@check("priority and a timeout that is kept")
def options(target):
    given = rows(1, seed=5)[:, :3]
    parameters = {"priority": 1, "timeout": 5_000_000}
    answer = infer(target, "batched", {"x": ("FP32", given)}, False, parameters=parameters)
    same(output(answer, "x_out"), given)


@check("errors say what is wrong, with the protocol's status")
def errors(target):
    given = {"x": ("FP32", SAMPLES["FP32"])}
    for status, part, model in ((404, "nobody", "nobody"), (400, "shape", "matrix")):
        error = raises(httpx.HTTPStatusError, lambda: infer(target, model, given, True), part)
        assert error.response.status_code == status, error


run()
