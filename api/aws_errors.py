"""What botocore raises when AWS does not do what it is asked."""

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)


def error_code(error: Exception) -> str:
    """AWS's own word for an error; "" where AWS has not answered."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
