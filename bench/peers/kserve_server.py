"""KServe's Python server with a custom model, as its documentation shows; one worker, REST only."""

import logging

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

import oip


class OnnxModel(Model):
    def __init__(self, name: str):
        super().__init__(name)
        self._session = oip.open_session()
        self.ready = True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None):
        (y,) = self._session.run(None, {"x": payload.inputs[0].as_numpy()})
        output = InferOutput("y", list(y.shape), "FP32")
        output.set_data_from_numpy(y, binary_data=payload.use_binary_outputs)
        return InferResponse(
            payload.id or generate_uuid(),
            self.name,
            [output],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


server = ModelServer(
    http_port=oip.PORT, workers=1, enable_grpc=False, enable_latency_logging=False
)
# None of the others writes a line for each request.
logging.disable(logging.INFO)
server.start([OnnxModel(oip.NAME)])
