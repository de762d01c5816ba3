"""One video out of a request's body, raw or multipart, into a file; never more of it than the limit is kept."""

import asyncio
import hashlib
import unicodedata
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from tasks.serve.problems import Problem

SOURCE_FIELD = "source_id"
SOURCE_HEADER = "X-Source-Id"
_MULTIPART = "multipart/form-data"
_RAW = ("application/octet-stream", "")
_MAX_SOURCE_LENGTH = 200
_MAX_SOURCE_BYTES = 8 * _MAX_SOURCE_LENGTH
_MAX_FORM_BYTES = 1 << 16
_SLICE_BYTES = 1 << 15
_PATIENCE_S = 60.0
_DISCARD_S = 5.0
_MAX_FIELDS = 16


@dataclass(frozen=True)
class Upload:
    """A video that a client sent.

    Attributes:
        path: Its file, gone when the request ends.
        sha256: Of its bytes.
        source_id: From which camera or person it is, where the client says so.
    """

    path: Path
    sha256: str
    source_id: str | None


@asynccontextmanager
async def received(request: Request, folder: Path, max_bytes: int) -> AsyncIterator[Upload]:
    """The video of ``request`` as a file in ``folder``.

    Raises:
        Problem: It is too large, no video by its type, not a form, or does not arrive.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind not in (_MULTIPART, *_RAW) and not kind.startswith("video/"):
        sentence = f"send the video as {_MULTIPART} or as the raw body with a type such as video/mp4, not as {kind}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", sentence)
    _check_declared(request, max_bytes)
    path = folder / uuid.uuid4().hex
    try:
        with path.open("xb") as file:
            sink = _Sink(file, max_bytes)
            source_id = _text(request.headers.get(SOURCE_HEADER, ""))
            async with _on_time():
                if kind == _MULTIPART:
                    source_id = await _read_form(request, options.get("boundary", ""), sink) or source_id
                else:
                    async for chunk in request.stream():
                        sink.write(chunk)
        if not sink.num_bytes:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "video_missing", "the request has no video in it")
        yield Upload(path, sink.digest.hexdigest(), _checked_source(source_id))
    finally:
        path.unlink(missing_ok=True)


async def refused(request: Request, problem: Problem, max_bytes: int) -> Response:
    """The answer to a request that may not have been read; the connection of one that goes on is closed."""
    response = problem.response()
    if not await _read_to_its_end(request, max_bytes):
        response.headers["Connection"] = "close"  # else the server would read on for as long as the client sends
    return response


async def _read_to_its_end(request: Request, max_bytes: int) -> bool:
    """Read on for a moment, so that a client that is still sending gets to see the answer."""
    if request.headers.get("expect"):  # it asked first, and has not sent anything
        return False
    try:
        async with asyncio.timeout(_DISCARD_S):
            async for chunk in request.stream():
                max_bytes -= len(chunk)
                if max_bytes < 0:
                    return False
    except (TimeoutError, ClientDisconnect):
        return False
    except RuntimeError:  # it was read before
        return True
    return True


class _Sink:
    """A file with a limit. Writes go to the page cache and are too short to be worth a thread."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.num_bytes += len(chunk)
        if self.num_bytes > self.max_bytes:
            raise _too_large(self.max_bytes)
        self._file.write(chunk)
        self.digest.update(chunk)


class _Form:
    """Takes a form's events: one file, and the field that names its source."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._current: File | Field | None = None
        self._has_file = False
        self._source = bytearray()

    @property
    def source_id(self) -> str | None:
        return self._source.decode("utf-8", "replace") if self._source else None

    def take(self, event: object) -> None:
        if isinstance(event, File):
            if self._has_file:
                sentence = "the form has more than one file; send one video a request"
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "several_videos", sentence)
            self._has_file = True
        if isinstance(event, File | Field):
            self._current = event
        elif isinstance(event, Data):
            if isinstance(self._current, File):
                self._sink.write(event.data)
            elif self._current is not None and self._current.name == SOURCE_FIELD:
                self._source = (self._source + event.data)[:_MAX_SOURCE_BYTES]


async def _read_form(request: Request, boundary: str, sink: _Sink) -> str | None:
    form = _Form(sink)
    decoder = MultipartDecoder(boundary.encode(), _MAX_FORM_BYTES, max_parts=_MAX_FIELDS)
    try:
        if not boundary:
            raise ValueError("it has no boundary")
        num_bytes = 0
        async for chunk in request.stream():
            num_bytes += len(chunk)
            if num_bytes > sink.max_bytes + _MAX_FORM_BYTES:
                raise _too_large(sink.max_bytes)
            for start in range(0, len(chunk), _SLICE_BYTES):
                decoder.receive_data(chunk[start : start + _SLICE_BYTES])
                _drain(decoder, form)
        decoder.receive_data(None)
        _drain(decoder, form)
    except (ValueError, RequestEntityTooLarge) as error:
        reason = str(error) if isinstance(error, ValueError) else "its headers or fields are too long"
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_form", f"the form cannot be read: {reason}") from None
    return form.source_id


def _drain(decoder: MultipartDecoder, form: _Form) -> None:
    while not isinstance(event := decoder.next_event(), NeedData):
        form.take(event)
        if isinstance(event, Epilogue):
            return


@asynccontextmanager
async def _on_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            yield
    except TimeoutError:
        sentence = f"the video did not arrive within {_PATIENCE_S:.0f} s"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "upload_timeout", sentence) from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "upload_broken_off", "the client went away") from None


def _check_declared(request: Request, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    # A form is a little longer than its video; what counts is counted while it arrives.
    if declared.isdigit() and int(declared) > max_bytes + _MAX_FORM_BYTES:
        raise _too_large(max_bytes)


def _text(header: str) -> str:
    # HTTP reads headers as Latin-1; people write UTF-8.
    return header.encode("latin-1", "replace").decode("utf-8", "replace")


def _checked_source(source_id: str | None) -> str | None:
    if not source_id:
        return None
    if len(source_id) > _MAX_SOURCE_LENGTH or any(unicodedata.category(each).startswith("C") for each in source_id):
        sentence = f"{SOURCE_FIELD} must be at most {_MAX_SOURCE_LENGTH} printable characters"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_source_id", sentence)
    return source_id


def _too_large(max_bytes: int) -> Problem:
    sentence = f"the upload is larger than the {max_bytes / 1e6:g} MB that this service takes"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "upload_too_large", sentence)
