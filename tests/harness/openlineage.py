"""What an OpenLineage event must be, and a receiver of such events.

The schemas are those of the specification, written down here in their smallest form: RunEvent of
https://openlineage.io/spec/2-0-2/OpenLineage.json, and the facets of https://openlineage.io/spec/facets as the package
openlineage-python 1.54.0 (PyPI, looked up on 2026-11-26) names their versions and members. Additional members of facets
are forbidden here, which the specification does not: what is not named there is a mistake of ours.
"""
import contextlib
import http.server
import json
import threading

import jsonschema

TEXT = {"type": "string", "minLength": 1}
BASE = {"_producer": {"type": "string", "format": "uri"}, "_schemaURL": {"type": "string", "format": "uri"}}


def facet(url, properties, required=()):
    return {"type": "object", "additionalProperties": False, "required": ["_producer", "_schemaURL", *required],
            "properties": {**BASE, "_schemaURL": {"const": f"https://openlineage.io/spec/facets/{url}"}, **properties}}


INPUT_FIELD = {
    "type": "object", "additionalProperties": False, "required": ["namespace", "name", "field"],
    "properties": {"namespace": TEXT, "name": TEXT, "field": TEXT, "transformations": {"type": "array", "items": {
        "type": "object", "additionalProperties": False, "required": ["type"], "properties": {
            "type": {"enum": ["DIRECT", "INDIRECT"]}, "subtype": TEXT, "description": TEXT, "masking": {"type": "boolean"}}}}}}
DATASET_FACETS = {
    "schema": facet("1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet", {"fields": {"type": "array", "items": {
        "type": "object", "additionalProperties": False, "required": ["name"],
        "properties": {"name": TEXT, "type": TEXT, "description": TEXT}}}}),
    "dataSource": facet("1-0-1/DatasourceDatasetFacet.json#/$defs/DatasourceDatasetFacet",
                        {"name": TEXT, "uri": {"type": "string", "format": "uri"}}),
    "columnLineage": facet("1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet", {
        "fields": {"type": "object", "additionalProperties": {
            "type": "object", "additionalProperties": False, "required": ["inputFields"],
            "properties": {"inputFields": {"type": "array", "items": INPUT_FIELD}}}}}, ["fields"]),
}
STATISTICS = facet("1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet",
                   {"rowCount": {"type": "integer", "minimum": 0}})
DATASET = {"type": "object", "additionalProperties": False, "required": ["namespace", "name"], "properties": {
    "namespace": TEXT, "name": TEXT,
    "facets": {"type": "object", "additionalProperties": False, "properties": DATASET_FACETS},
    "outputFacets": {"type": "object", "additionalProperties": False, "properties": {"outputStatistics": STATISTICS}}}}
EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object", "additionalProperties": False,
    "required": ["eventType", "eventTime", "run", "job", "producer", "schemaURL", "inputs", "outputs"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time", "pattern": "^[0-9-]{10}T[0-9:]{8}\\.[0-9]+Z$"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "run": {"type": "object", "additionalProperties": False, "required": ["runId"], "properties": {
            "runId": {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
            "facets": {"type": "object", "additionalProperties": False, "required": ["processing_engine"], "properties": {
                "processing_engine": facet("1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet",
                                           {"name": TEXT, "version": TEXT}, ["version"]),
                "errorMessage": facet("1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
                                      {"message": TEXT, "programmingLanguage": TEXT}, ["message", "programmingLanguage"])}}}},
        "job": {"type": "object", "additionalProperties": False, "required": ["namespace", "name"], "properties": {
            "namespace": TEXT, "name": TEXT, "facets": {"type": "object", "additionalProperties": False, "properties": {
                "jobType": facet("2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", {
                    "processingType": {"const": "BATCH"}, "integration": TEXT, "jobType": TEXT},
                    ["processingType", "integration"])}}}},
        "inputs": {"type": "array", "items": DATASET}, "outputs": {"type": "array", "items": DATASET}}}
VALIDATOR = jsonschema.Draft202012Validator(EVENT, format_checker=jsonschema.FormatChecker())


def read(path):
    """The events of a file, each of them valid."""
    with open(path, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    for event in events:
        VALIDATOR.validate(event)
    return events


class Receiver:
    """Answers what `status` says, or nothing while it is `silent`; keeps what it took."""

    def __init__(self):
        self.events, self.tokens, self.status = [], set(), 201
        self.heard = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.heard.set()
                receiver.may_answer.wait(60)
                if receiver.status < 300:
                    receiver.events.append(json.loads(body))
                receiver.tokens.add(self.headers["Authorization"])
                with contextlib.suppress(OSError):
                    self.send_response(receiver.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/lineage"

    def close(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()
