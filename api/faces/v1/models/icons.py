"""What the calls of the icon library take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, StringConstraints

from api.faces.v1.models.base import ApiModel, ApiRequest
from api.faces.v1.models.jobs import MAX_WAIT_S

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Status = Literal["published", "candidate"]
_SEED: dict[str, Any] = {
    "key": "arrow-right-001",
    "description": "向右箭头图标,用于导航和下一步操作,导航类图标",
    "s3_url": "https://icon-storage-bucket.s3.amazonaws.com/arrows/arrow-right.svg",
    "category": "navigation",
    "tags": ["箭头", "导航", "右", "下一步"],
}


class IconSearchRequest(ApiRequest):
    """What to look for in the icon library."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "向右的箭头", "top_k": 5}]})

    query: Text
    """What the icon shows or is for, in Chinese or English."""
    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """Maximum number of icons."""
    category: Annotated[str, Field(max_length=200)] | None = None
    """Only icons of this category."""
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Minimum similarity. Default: no minimum."""


class IconResolveRequest(ApiRequest):
    """What the icon is to show, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "a red balloon", "style": "flat"}]})

    query: Text
    """What the icon shows, in a few words."""
    style: Annotated[str, Field(max_length=60)] = ""
    """Style such as `flat` or `line`. Default: any in the library, and the model's own choice for a drawn icon."""
    size: Annotated[int, Field(ge=16, le=1024)] = 512
    """Width and height of a drawn icon in pixels."""
    format: Literal["png", "svg"] = "png"
    """Format of a drawn icon. Icons from the library have the format in which they were imported."""
    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 20
    """Wait up to this many seconds for an icon to be drawn; behind API Gateway, 25 at most."""


class IconRequest(ApiRequest):
    """An icon to put into the library."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{name: value for name, value in _SEED.items() if name != "key"}]}
    )

    description: Annotated[str, Field(max_length=4000)]
    """What it shows and what it is for. The more it says, the better the icon is found."""
    s3_url: Annotated[str, Field(max_length=2048)]
    """Where its picture is: an `s3://` link into the output bucket, or an `https://` URL."""
    category: str = ""
    """Name of its category; searches can be narrowed to one."""
    tags: tuple[str, ...] = ()
    """Further words for it."""
    aliases: tuple[str, ...] = ()
    """Further descriptions, such as in another language."""
    style: str = ""
    """Style that it is drawn in, such as `flat`."""
    status: Status = "published"
    """`candidate` for drawn icons that nobody has looked at yet. Both are found."""


class IconImportRequest(RootModel[list[dict[str, Any]]]):
    """A library as JSON: a list of icons with `key` and the fields of an IconRequest."""

    model_config = ConfigDict(json_schema_extra={"examples": [[_SEED]]})


class IconQuery(ApiRequest):
    """Parameters of GET /v1/icons."""

    category: str | None = None
    """Only icons of this category."""
    status: Status | None = None
    """`published` or `candidate`."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Maximum number of icons in the page."""
    cursor: str | None = None
    """`next` from the previous page."""


class IconView(ApiModel):
    """An icon."""

    key: str
    description: str
    s3_url: str
    """Where its picture is, for readers with their own access to the bucket."""
    category: str
    tags: list[str]
    """Further words for it. A drawn icon whose ground could not be made transparent has `opaque`."""
    aliases: list[str]
    """Further descriptions."""
    style: str
    status: Status
    source: Literal["imported", "drawn"]
    url: str | None
    """Link to the picture; null if it is in a bucket that the API cannot read."""
    expires_at: datetime | None
    """When `url` expires: in a little over an hour. Null for a picture outside of the output bucket."""
    format: str
    """Format of the picture at `url`, such as `svg`."""


class FoundIconView(IconView):
    """An icon that answers a query."""

    similarity: float | None
    """Cosine similarity of its nearest description with the query; null if others are nearer but have fewer words."""


class IconSearchView(ApiModel):
    """The icons that answer a query, best first."""

    icons: list[FoundIconView]
    accepted: str | None
    """Key of the icon that `POST /v1/icons/resolve` would use; null if it would have one drawn."""


class ResolvedIconView(FoundIconView):
    """The icon for a query."""

    drawn: bool
    """Whether it was drawn for this request, and is now in the library."""


class DrawingIconView(ApiModel):
    """A job that draws an icon."""

    job: str
    state: str
    retry_after_s: int
    """When to send the same request again, which then answers with the icon."""
    links: dict[str, str]
    """Related links: the job."""


class IconPage(ApiModel):
    """A page of icons, sorted by key."""

    icons: list[IconView]
    next: str | None
    """`cursor` for the next page; null on the last page."""


class IconImportView(ApiModel):
    """The result of an import."""

    imported: int
    unchanged: int
    """Icons that the library has already, exactly so."""
    left: int
    """Icons that were not reached in time. Send the same request again until it is 0."""


class IconRebuildView(ApiModel):
    """The result of a rebuild."""

    index: str
    """Name of the new index."""
    icons: int
    taken_in: int
    """Drawn pictures that nobody had waited for, and that are icons now."""


class IconCountView(ApiModel):
    """An icon, and how often it was found."""

    key: str
    description: str
    hits: int
    last_hit_at: datetime | None


class IconNeedView(ApiModel):
    """What was asked for without an icon in the library."""

    query: str
    style: str
    category: str
    """Category of the icon that came nearest."""
    asked: int
    """How often it was asked for; not counting requests while it was being drawn."""
    icon: str | None
    """Key of the icon that was drawn for it."""
    error: str | None
    """Code of the error if it could not be drawn."""


class IconReportView(ApiModel):
    """What the icon library saves, and what to do about it. Counts are of the last 90 days."""

    icons: int
    candidates: int
    hits: int
    misses: int
    hit_rate: float | None
    """Share of the requests that the library answered; null if there were none."""
    drawn: int
    drawn_a_day: float
    """Average over the last 30 days."""
    saved: float
    """What the hits would have cost at a hosted API, in dollars."""
    break_even: int
    """With so many drawn icons a day a GPU of your own costs as much as the hosted API."""
    most_hit: list[IconCountView]
    most_missed: list[IconNeedView]
    most_drawn: list[IconNeedView]
    missed_categories: dict[str, int]
    publish: list[IconCountView]
    """Drawn icons that are found again and again: set their `status` to `published`."""
    delete: list[IconCountView]
    """Drawn icons that nobody has found for 30 days."""
    is_complete: bool
    """Whether everything that was counted was read."""
