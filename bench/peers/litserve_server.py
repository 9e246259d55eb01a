"""LitServe: one worker on the CPU, its fast queue between the server and the worker, no batching."""

import litserve as ls

import oip


class OnnxApi(ls.LitAPI):
    def setup(self, device):
        self._session = oip.open_session()

    def decode_request(self, request):
        return oip.input_of(request)

    def predict(self, x):
        (y,) = self._session.run(None, {"x": x})
        return y

    def encode_response(self, output):
        return oip.response_of(output)


if __name__ == "__main__":
    server = ls.LitServer(OnnxApi(api_path=oip.INFER_PATH), accelerator="cpu", fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=oip.PORT,
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
