"""What Triton's own HTTP client gets from our REST server."""

import asyncio
import http.client

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from checks import check, raises, run, same
from samples import NON_FINITE, SAMPLES, Reference, rows

Refused = triton.InferenceServerException


def client_of(target, **options):
    return triton.InferenceServerClient(target.http, **options)


def tensor(name, array, binary=True, datatype=None):
    given = triton.InferInput(name, list(array.shape), datatype or triton_type(array))
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def triton_type(array):
    return next(name for name, sample in SAMPLES.items() if sample.dtype == array.dtype)


def wanted(*names, binary=True):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


@check("health: live and ready, known and unknown models")
def health(target):
    with client_of(target) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("simple")
        assert client.is_model_ready("simple", "1")
        assert not client.is_model_ready("simple", "9")
        assert not client.is_model_ready("nobody")


@check("metadata of the server and of a model")
def metadata(target):
    with client_of(target) as client:
        server = client.get_server_metadata()
        assert server["name"] == "driftline"
        assert {"binary_tensor_data", "statistics", "model_configuration"} <= set(server["extensions"])
        model = client.get_model_metadata("simple")
        assert model["versions"] == ["1"]
        assert model["inputs"] == [
            {"name": name, "datatype": "INT32", "shape": [-1, 16]} for name in ("INPUT0", "INPUT1")
        ], model["inputs"]


@check("configuration: platform, tensors, where it runs")
def config(target):
    with client_of(target) as client:
        config = client.get_model_config("batched")
        assert config["name"] == "batched" and config["platform"] == "onnxruntime_onnx", config
        # Triton's 0: dims are whole. Its clients add no batch dimension then.
        assert config["max_batch_size"] == 0
        assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 3]}], config
        assert config["instance_group"][0]["kind"] == "KIND_CPU", config


@check("repository index")
def index(target):
    with client_of(target) as client:
        states = {model["name"]: model["state"] for model in client.get_model_repository_index()}
        assert states["simple"] == "READY", states


for datatype, sample in SAMPLES.items():

    @check(f"{datatype} as binary, bit for bit")
    def binary(target, datatype=datatype, sample=sample):
        with client_of(target) as client:
            answer = client.infer(
                f"id_{datatype.lower()}",
                [tensor("x", sample, datatype=datatype)],
                outputs=wanted("x_out"),
            )
            same(answer.as_numpy("x_out"), sample)

    if datatype == "FP16":
        continue  # The client itself refuses: JSON has no form of it.

    @check(f"{datatype} as JSON, bit for bit")
    def text(target, datatype=datatype, sample=sample):
        with client_of(target) as client:
            answer = client.infer(
                f"id_{datatype.lower()}",
                [tensor("x", sample, binary=False, datatype=datatype)],
                outputs=wanted("x_out", binary=False),
            )
            same(answer.as_numpy("x_out"), sample)


@check("NaN payloads, infinities and denormals as binary")
def non_finite(target):
    with client_of(target) as client:
        answer = client.infer("id_fp32", [tensor("x", NON_FINITE)])
        same(answer.as_numpy("x_out"), NON_FINITE)


@check("an empty tensor")
def empty(target):
    with client_of(target) as client:
        for binary in (True, False):
            none = np.zeros([0, 3], "f4")
            answer = client.infer(
                "matrix", [tensor("x", none, binary)], outputs=wanted("x_out", binary=binary)
            )
            assert answer.get_output("x_out")["shape"] == [0, 3]


@check("JSON and binary mixed in one request and one answer")
def mixed(target):
    given = {"a": SAMPLES["FP32"], "b": SAMPLES["INT64"], "c": SAMPLES["BYTES"]}
    with client_of(target) as client:
        answer = client.infer(
            "triple",
            [tensor(name, array, binary=name != "b") for name, array in given.items()],
            outputs=[*wanted("b_out", "c_out"), *wanted("a_out", binary=False)],
        )
        for name, array in given.items():
            same(answer.as_numpy(f"{name}_out"), array)


@check("sum and difference of Triton's simple example")
def simple(target):
    a = np.arange(32, dtype="i4").reshape(2, 16)
    b = np.full([2, 16], 7, "i4")
    with client_of(target) as client:
        answer = client.infer("simple", [tensor("INPUT0", a), tensor("INPUT1", b)])
        same(answer.as_numpy("OUTPUT0"), a + b)
        same(answer.as_numpy("OUTPUT1"), a - b)


@check("a computed output equals ONNX Runtime's bit for bit")
def reference(target):
    given = rows(16, seed=1)
    expected = Reference(target.models, "curve")(x=given)["y"]
    with client_of(target) as client:
        same(client.infer("curve", [tensor("x", given)]).as_numpy("y"), expected)


@check("request id, pinned version and parameters come back")
def identity(target):
    with client_of(target) as client:
        given = [tensor("x", SAMPLES["FP32"])]
        answer = client.infer("id_fp32", given, model_version="1", request_id="r-1").get_response()
        assert answer["id"] == "r-1" and answer["model_version"] == "1"
        assert answer["parameters"]["arm"] == "stable", answer


@check("bodies compressed with gzip and deflate, both ways")
def compression(target):
    given = np.zeros([50_000], "f4")
    with client_of(target) as client:
        for way in ("gzip", "deflate"):
            answer = client.infer(
                "id_fp32",
                [tensor("x", given)],
                request_compression_algorithm=way,
                response_compression_algorithm=way,
            )
            same(answer.as_numpy("x_out"), given)


@check("a body of 20 MB")
def large(target):
    given = np.random.default_rng(3).normal(size=5_000_000).astype("f4")
    with client_of(target) as client:
        same(client.infer("id_fp32", [tensor("x", given)]).as_numpy("x_out"), given)


@check("async_infer on eight connections")
def eight(target):
    given = [rows(1, seed=at) for at in range(8)]
    with client_of(target, concurrency=8) as client:
        waiting = [client.async_infer("free", [tensor("x", row)]) for row in given]
        for row, answer in zip(given, waiting):
            same(answer.get_result().as_numpy("x_out"), row)


@check("concurrent requests share calls, and each gets its own rows")
def batched(target):
    given = [rows(1 + at % 3, seed=at)[:, :3] for at in range(16)]

    async def ask():
        async with triton_aio.InferenceServerClient(target.http) as client:
            before = await executions(client)
            # Who arrives together is for the kernel to decide: a few tries, of which one must have met.
            for _ in range(20):
                asked = (client.infer("batched", [tensor("x", each)]) for each in given)
                for each, answer in zip(given, await asyncio.gather(*asked)):
                    same(answer.as_numpy("x_out"), each)
            inferences, batches = np.subtract(await executions(client), before)
            assert inferences == 20 * sum(map(len, given)), inferences
            assert batches < 20 * len(given), f"{batches} executions of {20 * len(given)} requests"

    asyncio.run(ask())


async def executions(client):
    (stats,) = (await client.get_inference_statistics("batched"))["model_stats"]
    return stats["inference_count"], stats["execution_count"]


@check("the asyncio client")
def asyncio_client(target):
    async def ask():
        async with triton_aio.InferenceServerClient(target.http) as client:
            assert await client.is_server_ready()
            given = [rows(2, seed=at) for at in range(6)]
            answers = await asyncio.gather(
                *(client.infer("free", [tensor("x", each)]) for each in given)
            )
            for each, answer in zip(given, answers):
                same(answer.as_numpy("x_out"), each)

    asyncio.run(ask())


@check("statistics of one model and of all")
def statistics(target):
    with client_of(target) as client:
        client.infer("id_int8", [tensor("x", SAMPLES["INT8"])])
        (one,) = client.get_inference_statistics("id_int8", "1")["model_stats"]
        assert one["name"] == "id_int8" and one["inference_stats"]["success"]["count"] >= 1, one
        everything = client.get_inference_statistics()["model_stats"]
        assert "simple" in {each["name"] for each in everything}


@check("priority and a timeout that is kept")
def options(target):
    with client_of(target) as client:
        given = [tensor("x", rows(1, seed=5)[:, :3])]
        answer = client.infer("batched", given, priority=1, timeout=5_000_000)
        same(answer.as_numpy("x_out"), rows(1, seed=5)[:, :3])


@check("a timeout that passes in the queue")
def late(target):
    with client_of(target) as client:
        given = [tensor("x", rows(1, seed=6)[:, :3])]
        raises(Refused, lambda: client.infer("batched", given, timeout=1), "timeout")


@check("errors say what is wrong, with the protocol's status")
def errors(target):
    ids = tensor("x", SAMPLES["FP32"])
    with client_of(target) as client:
        for status, part, ask in (
            ("404", "nobody", lambda: client.infer("nobody", [ids])),
            ("404", "9", lambda: client.infer("id_fp32", [ids], model_version="9")),
            ("400", "shape", lambda: client.infer("matrix", [ids])),
            ("400", "FP32", lambda: client.infer("id_fp32", [tensor("x", SAMPLES["INT64"])])),
            ("400", "y", lambda: client.infer("id_fp32", [ids], outputs=wanted("y"))),
            ("400", "b", lambda: client.infer("triple", [tensor("a", SAMPLES["FP32"])])),
            ("404", "nobody", lambda: client.get_model_metadata("nobody")),
        ):
            error = raises(Refused, ask, part)
            assert error.status() == status, f"{error.status()} {error}"


@check("what is not offered is refused, never ignored")
def not_offered(target):
    top = [triton.InferRequestedOutput("y", class_count=2)]
    with client_of(target) as client:
        raises(Refused, lambda: client.infer("curve", [tensor("x", rows(1, 1))], outputs=top))
        raises(Refused, lambda: client.get_system_shared_memory_status())
        raises(Refused, lambda: client.load_model("simple"))


@check("a body that the client made and another library sent")
def offline_body(target):
    given = SAMPLES["FP64"]
    body, length = triton.InferenceServerClient.generate_request_body([tensor("x", given)])
    connection = http.client.HTTPConnection(target.http)
    headers = {"Inference-Header-Content-Length": str(length)}
    connection.request("POST", "/v2/models/id_fp64/infer", body, headers)
    response = connection.getresponse()
    length = response.getheader("Inference-Header-Content-Length")
    answer = triton.InferenceServerClient.parse_response_body(
        response.read(), header_length=None if length is None else int(length)
    )
    same(answer.as_numpy("x_out"), given)
    connection.close()


run()
