"""The API's settings for the icon library: JSON in its environment, made from ``icons`` in config.yaml."""

from pydantic import BaseModel, ConfigDict, Field

from icons.report import Prices


class IconSettings(BaseModel):
    """The API's icon library.

    Attributes:
        runtime: Draws what the library does not have.
        embeddings: As ``icons.embeddings.embedder_of`` names it.
        vector_bucket: The bucket of S3 Vectors; "" keeps the vectors in files of the output bucket.
        starter: Whether an empty library starts with the project's own icons.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: str
    embeddings: str
    vector_bucket: str = ""
    starter: bool = True
    prices: Prices = Field(default=Prices())
