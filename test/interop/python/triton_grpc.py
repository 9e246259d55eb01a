"""What Triton's own gRPC client gets from our gRPC server."""

import asyncio
import queue

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from checks import check, raises, run, same
from samples import NON_FINITE, SAMPLES, Reference, rows

Refused = triton.InferenceServerException
WAIT_S = 20


def client_of(target):
    return triton.InferenceServerClient(target.grpc)


def tensor(name, array, datatype=None):
    kind = datatype or next(k for k, sample in SAMPLES.items() if sample.dtype == array.dtype)
    given = triton.InferInput(name, list(array.shape), kind)
    given.set_data_from_numpy(array)
    return given


@check("health: live and ready, known and unknown models")
def health(target):
    with client_of(target) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("simple")
        assert client.is_model_ready("simple", "1")
        assert not client.is_model_ready("nobody")


@check("metadata of the server and of a model")
def metadata(target):
    with client_of(target) as client:
        server = client.get_server_metadata()
        assert server.name == "driftline" and "statistics" in server.extensions
        model = client.get_model_metadata("simple", as_json=True)
        assert model["versions"] == ["1"], model
        # int64 is text in protobuf's JSON.
        assert model["inputs"] == [
            {"name": name, "datatype": "INT32", "shape": ["-1", "16"]}
            for name in ("INPUT0", "INPUT1")
        ], model


@check("configuration: platform, tensors, where it runs")
def config(target):
    with client_of(target) as client:
        config = client.get_model_config("batched").config
        assert config.name == "batched" and config.platform == "onnxruntime_onnx", config
        assert config.max_batch_size == 0
        (given,) = config.input
        assert given.name == "x" and list(given.dims) == [-1, 3], given
        assert triton.model_config_pb2.DataType.Name(given.data_type) == "TYPE_FP32"


@check("repository index")
def index(target):
    with client_of(target) as client:
        models = {each.name: each.state for each in client.get_model_repository_index().models}
        assert models["simple"] == "READY", models


for datatype, sample in SAMPLES.items():

    @check(f"{datatype}, bit for bit")
    def raw(target, datatype=datatype, sample=sample):
        with client_of(target) as client:
            answer = client.infer(f"id_{datatype.lower()}", [tensor("x", sample, datatype)])
            same(answer.as_numpy("x_out"), sample)


@check("NaN payloads, infinities and denormals")
def non_finite(target):
    with client_of(target) as client:
        answer = client.infer("id_fp32", [tensor("x", NON_FINITE)])
        same(answer.as_numpy("x_out"), NON_FINITE)


@check("an empty tensor and a scalar")
def shapes(target):
    with client_of(target) as client:
        for model, given in (("matrix", np.zeros([0, 3], "f4")), ("scalar", np.float32([7])[0:1])):
            given = given.reshape([]) if model == "scalar" else given
            answer = client.infer(model, [tensor("x", given)])
            assert list(answer.get_output("x_out").shape) == list(given.shape)


@check("sum and difference of Triton's simple example")
def simple(target):
    a = np.arange(32, dtype="i4").reshape(2, 16)
    b = np.full([2, 16], 7, "i4")
    with client_of(target) as client:
        answer = client.infer("simple", [tensor("INPUT0", a), tensor("INPUT1", b)])
        same(answer.as_numpy("OUTPUT0"), a + b)
        same(answer.as_numpy("OUTPUT1"), a - b)


@check("only the outputs that were asked for")
def selection(target):
    given = {"a": SAMPLES["FP32"], "b": SAMPLES["INT64"], "c": SAMPLES["BYTES"]}
    with client_of(target) as client:
        answer = client.infer(
            "triple",
            [tensor(name, array) for name, array in given.items()],
            outputs=[triton.InferRequestedOutput(name) for name in ("c_out", "a_out")],
        )
        assert {each.name for each in answer.get_response().outputs} == {"a_out", "c_out"}
        same(answer.as_numpy("a_out"), given["a"])
        same(answer.as_numpy("c_out"), given["c"])


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
        assert answer.id == "r-1" and answer.model_version == "1"
        assert answer.parameters["arm"].string_param == "stable", answer


@check("messages compressed with gzip and deflate")
def compression(target):
    given = np.zeros([50_000], "f4")
    with client_of(target) as client:
        for way in ("gzip", "deflate"):
            answer = client.infer("id_fp32", [tensor("x", given)], compression_algorithm=way)
            same(answer.as_numpy("x_out"), given)


@check("a message of 20 MB")
def large(target):
    given = np.random.default_rng(3).normal(size=5_000_000).astype("f4")
    with client_of(target) as client:
        same(client.infer("id_fp32", [tensor("x", given)]).as_numpy("x_out"), given)


@check("concurrent requests share calls, and each gets its own rows")
def batched(target):
    given = [rows(1 + at % 3, seed=at)[:, :3] for at in range(16)]
    with client_of(target) as client:
        before = executions(client)
        for _ in range(20):
            answers = [queue.Queue() for _ in given]
            for each, answer in zip(given, answers):
                client.async_infer("batched", [tensor("x", each)], put(answer))
            for each, answer in zip(given, answers):
                result, error = answer.get(timeout=WAIT_S)
                assert error is None, error
                same(result.as_numpy("x_out"), each)
        inferences, batches = np.subtract(executions(client), before)
        assert inferences == 20 * sum(map(len, given)), inferences
        assert batches < 20 * len(given), f"{batches} executions of {20 * len(given)} requests"


def put(answer):
    return lambda result, error: answer.put((result, error))


def executions(client):
    (stats,) = client.get_inference_statistics("batched").model_stats
    return stats.inference_count, stats.execution_count


@check("a stream answers 50 requests, and an error does not end it")
def stream(target):
    answers = queue.Queue()
    with client_of(target) as client:
        client.start_stream(put(answers))
        given = {str(at): rows(1, seed=at) for at in range(50)}
        for at, each in given.items():
            client.async_stream_infer("free", [tensor("x", each)], request_id=at)
            if at == "20":
                client.async_stream_infer("nobody", [tensor("x", each)], request_id="lost")
        refused = 0
        for _ in range(51):
            result, error = answers.get(timeout=WAIT_S)
            if error is not None:
                assert "nobody" in str(error), error
                refused += 1
                continue
            same(result.as_numpy("x_out"), given.pop(result.get_response().id))
        assert refused == 1 and not given
        client.stop_stream()


@check("a stream that the client cancels")
def cancelled_stream(target):
    with client_of(target) as client:
        client.start_stream(put(queue.Queue()))
        client.async_stream_infer("free", [tensor("x", rows(1, 1))])
        client.stop_stream(cancel_requests=True)
        same(client.infer("free", [tensor("x", rows(1, 2))]).as_numpy("x_out"), rows(1, 2))


@check("the asyncio client, alone and as a stream")
def asyncio_client(target):
    given = [rows(2, seed=at) for at in range(6)]

    async def requests():
        for each in given:
            yield {"model_name": "free", "inputs": [tensor("x", each)]}

    async def ask():
        async with triton_aio.InferenceServerClient(target.grpc) as client:
            asked = (client.infer("free", [tensor("x", each)]) for each in given)
            for each, answer in zip(given, await asyncio.gather(*asked)):
                same(answer.as_numpy("x_out"), each)
            waiting = list(given)
            async for result, error in client.stream_infer(requests()):
                assert error is None, error
                same(result.as_numpy("x_out"), waiting.pop(0))
            assert not waiting

    asyncio.run(ask())


@check("statistics of one model and of all")
def statistics(target):
    with client_of(target) as client:
        client.infer("id_int8", [tensor("x", SAMPLES["INT8"])])
        (one,) = client.get_inference_statistics("id_int8", "1").model_stats
        assert one.name == "id_int8" and one.inference_stats.success.count >= 1, one
        everything = client.get_inference_statistics().model_stats
        assert "simple" in {each.name for each in everything}


@check("priority and a timeout that is kept")
def options(target):
    given = rows(1, seed=5)[:, :3]
    with client_of(target) as client:
        answer = client.infer("batched", [tensor("x", given)], priority=1, timeout=5_000_000)
        same(answer.as_numpy("x_out"), given)


@check("a timeout that passes, and a deadline of the client's")
def late(target):
    given = [tensor("x", rows(1, seed=6)[:, :3])]
    with client_of(target) as client:
        error = raises(Refused, lambda: client.infer("batched", given, timeout=1), "timeout")
        assert error.status() == "StatusCode.DEADLINE_EXCEEDED", error.status()
        long = [tensor("x", np.zeros([5_000_000], "f4"))]
        error = raises(Refused, lambda: client.infer("id_fp32", long, client_timeout=0.002))
        assert "Deadline" in str(error), error
        assert client.is_server_live()


@check("errors say what is wrong, with gRPC's status")
def errors(target):
    ids = tensor("x", SAMPLES["FP32"])
    output = [triton.InferRequestedOutput("y")]
    with client_of(target) as client:
        for status, part, ask in (
            ("NOT_FOUND", "nobody", lambda: client.infer("nobody", [ids])),
            ("NOT_FOUND", "9", lambda: client.infer("id_fp32", [ids], model_version="9")),
            ("INVALID_ARGUMENT", "shape", lambda: client.infer("matrix", [ids])),
            ("INVALID_ARGUMENT", "FP32", lambda: client.infer("id_fp32", [tensor("x", SAMPLES["INT64"])])),
            ("INVALID_ARGUMENT", "y", lambda: client.infer("id_fp32", [ids], outputs=output)),
            ("INVALID_ARGUMENT", "b", lambda: client.infer("triple", [tensor("a", SAMPLES["FP32"])])),
            ("NOT_FOUND", "nobody", lambda: client.get_model_metadata("nobody")),
        ):
            error = raises(Refused, ask, part)
            assert error.status() == f"StatusCode.{status}", f"{error.status()} {error}"


@check("what is not offered is refused, never ignored")
def not_offered(target):
    top = [triton.InferRequestedOutput("y", class_count=2)]
    with client_of(target) as client:
        raises(Refused, lambda: client.infer("curve", [tensor("x", rows(1, 1))], outputs=top))
        error = raises(Refused, lambda: client.get_system_shared_memory_status())
        assert error.status() == "StatusCode.UNIMPLEMENTED", error.status()
        raises(Refused, lambda: client.load_model("simple"))


run()
