"""What the icon library calls: an embedding model of Amazon Bedrock, and S3 Vectors."""

from collections.abc import Iterator

from botocore.exceptions import EndpointConnectionError

from configuration.icons import TITAN_MODEL, Icons
from deploy.aws import AWS_ERRORS, Account
from deploy.services import bedrock
from deploy.support.finding import Finding, Sufficiency

_INSTEAD = "set icons.embeddings to ngrams, which needs neither Bedrock nor S3 Vectors"


def look(account: Account, icons: Icons | None) -> Iterator[Finding]:
    """Whether both are in the deployment's region; nothing where no library needs them."""
    if icons is not None and icons.embeddings == "titan":
        yield bedrock.look_at(account, "Model of the icon library", TITAN_MODEL, account.region)
        yield _vectors(account)


def _vectors(account: Account) -> Finding:
    def found(verdict: Sufficiency, have: str, advice: str = "") -> Finding:
        return Finding("S3 Vectors", "there", have, verdict, advice)

    try:
        account.client("s3vectors").list_vector_buckets(maxResults=1)
    except EndpointConnectionError:
        return found(Sufficiency.BLOCKS, f"not in {account.region}", _INSTEAD)
    except AWS_ERRORS as exc:
        return found(Sufficiency.UNKNOWN, "?", f"s3vectors:ListVectorBuckets: {exc}")
    return found(Sufficiency.ENOUGH, "there")
