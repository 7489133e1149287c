"""M1 to M7: document imports, executions, and the files that jobs leave behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from audsync_web.sandbox.framework import Request, Response

from .commands import BadFile, FileReading, Rules, read_csv, read_ndjson
from .envelope import Refused, json_object, one
from .store import Datamart, Execution, Grant, Import
from .world import World

DOCUMENT_TYPES = frozenset(
    {
        "USER_SEGMENT",
        "USER_ACTIVITY",
        "USER_PROFILE",
        "USER_CHOICE",
        "USER_IDENTIFIERS_ASSOCIATION_DECLARATIONS",
        "USER_IDENTIFIERS_DISSOCIATION_DECLARATIONS",
        "USER_IDENTIFIERS_DELETION",
        "USER_POINT_DELETION",
    }
)
MEDIA_TYPES = {"APPLICATION_X_NDJSON": "application/x-ndjson", "TEXT_CSV": "text/csv"}
PRIORITIES = frozenset({"LOW", "MEDIUM", "HIGH"})
MOST_EXECUTIONS = 200


class ImportCalls:
    """The handlers; each gets the request, what its token may do, and the path's values."""

    def __init__(self, world: World) -> None:
        self.world = world

    def create_import(self, request: Request, grant: Grant, dm: str) -> Response:
        datamart = self.world.datamart(grant, dm)
        values = json_object(request)
        values = _checked_import(request, values)
        if any(other.values["name"] == values["name"] for other in datamart.imports.values()):
            request.violate("two imports under one name")
        found = Import(self.world.next_id(), dm, values)
        datamart.imports[found.id] = found
        return one(self.world.more(found.shown()))

    def list_imports(self, request: Request, grant: Grant, dm: str) -> Response:
        words = request.one("keywords").lower()
        found = [i for i in self.world.datamart(grant, dm).imports.values() if words in i.values["name"].lower()]
        newest_first = [self.world.more(i.shown()) for i in reversed(found)]
        return self.world.page(request, newest_first)

    def _import(self, grant: Grant, dm: str, imp: str) -> Import:
        found = self.world.datamart(grant, dm).imports.get(imp)
        if found is None or self.world.take("import_gone"):
            raise Refused(404, "Resource Not Found")
        return found

    def get_import(self, request: Request, grant: Grant, dm: str, imp: str) -> Response:
        return one(self.world.more(self._import(grant, dm, imp).shown()))

    def change_import(self, request: Request, grant: Grant, dm: str, imp: str) -> Response:
        found, given = self._import(grant, dm, imp), json_object(request)
        fixed = any(given.get(k, found.values[k]) != found.values[k] for k in ("document_type", "mime_type"))
        if fixed and found.executions:
            raise Refused(400, "An import with executions keeps its type")
        found.values = _checked_import(request, {**found.values, **given})
        return one(found.shown())

    def delete_import(self, request: Request, grant: Grant, dm: str, imp: str) -> Response:
        request.violate("import deleted")
        if any(not execution.is_final for execution in self._import(grant, dm, imp).executions):
            raise Refused(409, "An execution has not ended")
        del self.world.datamarts[dm].imports[imp]
        return one({})

    # -- executions

    def create_execution(self, request: Request, grant: Grant, dm: str, imp: str) -> Response:
        with self.world.lock:
            datamart, found = self.world.datamart(grant, dm), self._import(grant, dm, imp)
            self._check_media_type(request, found)
            self._note_pace(request, datamart, found)
            rules = self._rules(datamart)
        refused = ""
        try:
            read = read_csv if found.values["mime_type"] == "TEXT_CSV" else read_ndjson
            reading = read(_file_blocks(request), rules)
        except BadFile as error:
            request.violate(f"bad file: {error}")
            if error.status != 400 or not self.world.on("bad_file_fails_job"):
                raise Refused(error.status, str(error)) from None
            reading, refused = FileReading(), str(error)
        for text in sorted(reading.broken):
            request.violate(text)
        with self.world.lock:
            execution = self.world.machine.start(self.world.next_id(), found, grant.organisation_id, reading, refused)
            return one(self.world.more(execution.shown()))

    def _check_media_type(self, request: Request, found: Import) -> None:
        wanted = MEDIA_TYPES[found.values["mime_type"]]
        if request.media_type == wanted:
            return
        if request.media_type == "multipart/form-data":
            request.violate("multipart body")
            if self.world.on("accept_multipart"):
                return
        request.violate(f"content type is not {wanted}")
        status = 415 if self.world.on("mismatch_415") else 400
        raise Refused(status, f"Content-Type must be {wanted}")

    def _note_pace(self, request: Request, datamart: Datamart, found: Import) -> None:
        if any(not execution.is_final for execution in datamart.executions()):
            request.violate("an execution of this datamart has not ended")
        if len(found.executions) >= MOST_EXECUTIONS:
            request.violate("more than 200 executions in one import")
        if found.answer_lost:
            request.violate("a file after a lost answer without a look at the executions")
        if request.length is None:
            request.violate("body without Content-Length")

    def _rules(self, datamart: Datamart) -> Rules:
        return Rules(
            {segment.id: str(segment.values["type"]) for segment in datamart.segments.values()},
            {str(s.values.get("technical_name")): s.id for s in datamart.segments.values()},
            frozenset(str(c["compartment_id"]) for c in datamart.compartments),
            datamart.default_compartment,
            self.world.on("lax_fields"),
        )

    def list_executions(self, request: Request, grant: Grant, dm: str, imp: str) -> Response:
        found = self._import(grant, dm, imp)
        found.answer_lost, executions = False, list(found.executions)
        if self.world.take("hide_executions"):
            executions = []
        if not self.world.on("oldest_first"):
            executions.reverse()
        return self.world.page(request, [self._execution(execution) for execution in executions])

    def _execution(self, execution: Execution) -> dict[str, Any]:
        return self.world.more(execution.shown(tasks=self.world.text("tasks")))

    def get_execution(self, request: Request, grant: Grant, dm: str, imp: str, ex: str) -> Response:
        if not self.world.on("execution_by_id"):
            request.violate("an execution was read by its id")
            raise Refused(404, "Resource Not Found")
        return one(self._execution(self._find_execution(grant, dm, imp, ex)))

    def _find_execution(self, grant: Grant, dm: str, imp: str, ex: str) -> Execution:
        for execution in self._import(grant, dm, imp).executions:
            if execution.id == ex:
                return execution
        raise Refused(404, "Resource Not Found")

    def act(self, request: Request, grant: Grant, dm: str, imp: str, ex: str) -> Response:
        execution = self._find_execution(grant, dm, imp, ex)
        if json_object(request) != {"action": "CANCEL"}:
            request.violate("an action other than CANCEL")
            raise Refused(400, "Unknown action")
        if execution.status != "PENDING":
            raise Refused(409, "The execution cannot be cancelled any more")
        self.world.machine.cancel(execution)
        return one(self._execution(execution))

    def download(self, request: Request, grant: Grant) -> Response:
        uri = request.one("uri")
        for datamart in self.world.datamarts.values():
            for execution in datamart.executions():
                if execution.organisation_id == grant.organisation_id and uri and uri == execution.error_uri:
                    return Response(200, execution.error_file, {"Content-Type": "application/octet-stream"})
        raise Refused(404, "Resource Not Found")


def _file_blocks(request: Request) -> Iterable[bytes]:
    """The file's bytes: the body, or the part named `file` of the console's form."""
    if request.media_type != "multipart/form-data":
        return request.blocks()
    boundary = b"--" + request.header("content-type").partition("boundary=")[2].strip('"').encode()
    for piece in request.read().split(boundary):
        head, _, content = piece.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return [content.removesuffix(b"\r\n")]
    raise BadFile("The form has no part named file")


def _checked_import(request: Request, values: dict[str, Any]) -> dict[str, Any]:
    """A document import's fields, or a refusal (emulator rule 7)."""
    for name in ("document_type", "mime_type", "encoding", "name"):
        if not isinstance(values.get(name), str) or not values[name]:
            raise Refused(400, f"{name} is missing")
    if values["document_type"] not in DOCUMENT_TYPES or values["mime_type"] not in MEDIA_TYPES:
        raise Refused(400, "Unknown document_type or mime_type")
    if values["mime_type"] == "TEXT_CSV" and values["document_type"] != "USER_SEGMENT":
        raise Refused(400, "CSV is for USER_SEGMENT only")
    if values["encoding"].lower() != "utf-8" or values.get("priority", "MEDIUM") not in PRIORITIES:
        raise Refused(400, "Unknown encoding or priority")
    if len(values["name"]) > 120:
        request.violate("import name over 120 characters")
    keys = ("document_type", "mime_type", "encoding", "name")
    return {**{key: values[key] for key in keys}, "priority": values.get("priority", "MEDIUM")}
