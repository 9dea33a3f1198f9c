"""Says in plain words what AWS refused, and what helps."""

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, TokenRetrievalError

from deploy.errors import DeployError

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "403"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown"})

AwsFailure = (ClientError, BotoCoreError)
"""All that boto3's clients raise."""


def explained(failure: Exception) -> DeployError:
    """Translate what boto3 raised."""
    if isinstance(failure, NoCredentialsError | TokenRetrievalError):
        return DeployError(
            "There are no valid AWS credentials.", "Log in: aws configure, aws sso login or AWS_PROFILE."
        )
    if not isinstance(failure, ClientError):
        return DeployError(f"AWS cannot be reached: {failure}", "Check the network and the region's name.")
    error = failure.response["Error"]
    problem = f"AWS refused {failure.operation_name}: {error.get('Message') or error['Code']} ({error['Code']})."
    return DeployError(problem, _remedy(error["Code"], failure.operation_name))


def error_code(failure: ClientError) -> str:
    """The code that AWS gave."""
    return str(failure.response["Error"]["Code"])


def _remedy(code: str, operation: str) -> str:
    if code in _DENIED:
        return f"Use credentials that may call {operation}; docs/ lists what a deployment needs."
    if code in _EXPIRED:
        return "The session has expired: log in again."
    if code in _THROTTLED:
        return "AWS limits how often it may be asked: wait a minute."
    return "Correct what the message names."
