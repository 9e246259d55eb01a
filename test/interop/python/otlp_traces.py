"""Reads OTLP/JSON trace messages, one a line, with OpenTelemetry's own protobuf classes, and prints their spans.

A field that the protocol does not know, or of another type, is an error. OTLP's JSON differs from protobuf's in one
thing: ids are hex instead of base64 (opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def as_base64(span: dict) -> dict:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in span:
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return span


def attributes(span) -> dict:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


for line in sys.stdin:
    message = json.loads(line)
    for resource in message["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            scope["spans"] = [as_base64(span) for span in scope["spans"]]
    request = json_format.ParseDict(message, ExportTraceServiceRequest())
    for resource in request.resource_spans:
        owner = attributes(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                shown = {
                    "service": owner["service.name"],
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "name": span.name,
                    "kind": span.kind,
                    "flags": span.flags,
                    "nanos": span.end_time_unix_nano - span.start_time_unix_nano,
                    "status": span.status.code,
                    "attributes": attributes(span),
                }
                print(json.dumps(shown))
