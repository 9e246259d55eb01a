"""MLServer with a custom runtime, as its documentation shows; no parallel workers, so that all of it is one process."""

import asyncio
import socket

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

import oip


class OnnxModel(MLModel):
    async def load(self) -> bool:
        self._session = oip.open_session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        (y,) = self._session.run(None, {"x": x})
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", y)])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


settings = Settings(
    host="127.0.0.1",
    http_port=oip.PORT,
    grpc_port=free_port(),
    metrics_endpoint=None,
    parallel_workers=0,
    debug=False,
    logging_settings={"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR"}},
)
asyncio.run(MLServer(settings).start([ModelSettings(name=oip.NAME, implementation=OnnxModel)]))
