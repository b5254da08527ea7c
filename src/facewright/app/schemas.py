"""What the API takes and gives, as OpenAPI tells it. The answers are made elsewhere; tests hold them against this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from facewright.app.options import Options

_ADAPTER = TypeAdapter(Options)


class Problem(BaseModel):
    what: str
    why: str
    what_to_do: str
    code: int = Field(description="The command line's exit code for the same.")


class Refusal(BaseModel):
    error: Problem


class Face(BaseModel):
    face: int = Field(description="Its number, as `faces` takes it.")
    box: tuple[float, float, float, float] = Field(description="x1, y1, x2, y2 in pixels of the upright photo as it came.")
    landmarks: list[tuple[float, float]] = Field(description="Eyes, nose, corners of the mouth.")
    score: float = Field(description="How sure the detector is, 0 to 1.")
    action: Literal["restored", "blended", "left alone"]
    reasons: list[str]
    strength: float
    fidelity: float | None
    damage: str | None
    identity: float | None = Field(alias="identity[dlib]", description="0: the same picture; under 0.6: the same person.")
    likeness: str = Field(description="The same in words.")
    warning: bool = Field(description="Whether it may no longer be the same person.")
    crop_pixels: float
    misfit: float
    sharpness: tuple[float, float] | None


class Redone(BaseModel):
    read: bool
    found: bool = Field(description="Whether faces were looked for, or known already.")
    computed: int = Field(description="Faces that went through the network.")


class Report(BaseModel):
    width: int
    height: int
    model: str
    served: dict[str, str]
    faces: list[Face]
    seconds: float
    encode_seconds: float
    notes: list[str]
    redone: Redone


class Result(BaseModel):
    name: str
    bytes: int
    type: str


class Photo(BaseModel):
    number: int
    name: str
    state: Literal["waiting", "working", "done", "failed", "cancelled"]
    step: str | None
    ahead: int | None = Field(description="Photos before it, while it waits.")
    seconds_left: float | None = Field(description="An estimate, from how long others took.")
    bytes: int
    version: int = Field(description="Rises with each result.")
    width: int | None
    height: int | None
    options: dict[str, Any]
    report: Report | None
    result: Result | None
    error: Problem | None


class Job(BaseModel):
    id: str
    options: dict[str, Any]
    photos: list[Photo]
    expires_in: int = Field(description="Seconds until its files are gone.")


class Photos(BaseModel):
    photos: list[Photo]


class Restored(BaseModel):
    photo: Photo
    faces: list[Face]
    link: str = Field(description="Where the restored photo lies, until `expires_in` is over.")
    job: str = Field(description="DELETE /v1/jobs/{job} removes it at once.")
    expires_in: int


class Fetch(BaseModel):
    state: Literal["fetching", "failed"]
    done: int
    total: int | None
    error: Problem | None


class Model(BaseModel):
    name: str
    title: str
    serves: str
    where: Literal["bundled", "downloaded", "missing"]
    bytes: int | None
    licence: str
    note: str
    default: bool
    usable: bool
    has_fidelity: bool | None
    fetch: Fetch | None


class Models(BaseModel):
    models: list[Model]


class About(BaseModel):
    version: str
    keep_minutes: float
    limits: dict[str, float]
    options: dict[str, Any]
    formats: list[str]


def options_schema() -> dict[str, Any]:
    schema = _ADAPTER.json_schema()
    schema.pop("description", None)
    return schema


def options_query() -> list[dict[str, Any]]:
    """The same as parameters of a query."""
    properties: dict[str, Any] = options_schema()["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def upload_body(*, required: bool, several: bool, raw: bool) -> dict[str, Any]:
    """A request body with photos."""
    file = {"type": "string", "format": "binary"}
    properties: dict[str, Any] = {
        "photo": {"type": "array", "items": file} if several else file,
        "options": {"type": "string", "description": 'JSON, for example {"strength": 0.7}'},
    }
    content: dict[str, Any] = {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}
    if raw:
        content |= {"image/*": {"schema": file}, "application/octet-stream": {"schema": file}}
    return {"required": required, "content": content}
