"""FastAPI on uvicorn with uvloop, httptools and orjson: what a careful team writes around onnxruntime."""

import uvicorn
from fastapi import FastAPI, Request, Response

import oip

session = oip.open_session()
app = FastAPI()


@app.post(oip.INFER_PATH)
async def infer(request: Request):
    body = await request.body()
    header_length = request.headers.get("inference-header-content-length")
    if header_length is None:
        (y,) = session.run(None, {"x": oip.input_of(oip.loads(body))})
        return Response(oip.dumps(oip.response_of(y)), media_type="application/json")
    (y,) = session.run(None, {"x": oip.binary_input_of(body, int(header_length))})
    answer, length = oip.binary_response_of(y)
    headers = {"inference-header-content-length": str(length)}
    return Response(answer, headers=headers, media_type="application/octet-stream")


uvicorn.run(
    app,
    host="127.0.0.1",
    port=oip.PORT,
    loop="uvloop",
    http="httptools",
    access_log=False,
    log_level="error",
)
