"""BentoML: one service with one worker; started with `bentoml serve bentoml_server:Onnx`."""

import bentoml

import oip


@bentoml.service(
    name="onnx",
    workers=1,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    http={"host": "127.0.0.1", "port": oip.PORT},
)
class Onnx:
    def __init__(self):
        self._session = oip.open_session()

    @bentoml.api(route=oip.INFER_PATH)
    async def infer(self, inputs: list[dict]) -> dict:
        (y,) = self._session.run(None, {"x": oip.input_of({"inputs": inputs})})
        return oip.response_of(y)
