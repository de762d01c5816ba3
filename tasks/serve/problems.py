"""What the service answers when it does not answer: problem details (RFC 9457), one sentence each."""

from http import HTTPStatus

from starlette.responses import JSONResponse


class Problem(Exception):  # noqa: N818 - an answer, not an error of the program
    """Ends a request.

    Attributes:
        status: Of the HTTP answer.
        code: For programs, such as ``video_refused``.
        retry_after_s: When to come back, where that makes sense.
    """

    def __init__(self, status: HTTPStatus, code: str, sentence: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    def response(self) -> JSONResponse:
        """The answer."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = {"status": int(self.status), "title": self.status.phrase, "code": self.code, "detail": str(self)}
        return JSONResponse(content, int(self.status), headers, media_type="application/problem+json")
