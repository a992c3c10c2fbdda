"""The post: sends mail, and says of each message whether SQS took it, refused it, or was silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
)

from worker.dead_letters.mail import Posted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from worker.clock import Clock
    from worker.dead_letters.mail import Mail

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.2
_SERVERS_FAULT = 500
_SENDERS_FAULT = 400
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_LATER = ("Throttl", "OverLimit", "LimitExceeded")
# No connection was made, so nothing can have been sent.
_UNSENT = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ProxyConnectionError,
    NoCredentialsError,
    CredentialRetrievalError,
)


class Post:
    """Sends mail.

    What SQS did not answer is not sent again here: whether it arrived is unknown. A client that
    retries by itself (botocore's default) may send such a message twice; give one that does not
    where that matters.

    Args:
        sqs: the client.
        clock: waits between attempts.
    """

    def __init__(self, sqs: SQSClient, clock: Clock) -> None:
        self._sqs = sqs
        self._clock = clock

    def send(self, url: str, batch: Sequence[Mail]) -> Posted:
        """Send one batch; a message that SQS refuses does not hold up the others.

        Raises:
            botocore.exceptions.ClientError: SQS refuses the caller: none of the batch was sent.
            botocore.exceptions.BotoCoreError: SQS cannot be reached: likewise.
        """
        posted = Posted()
        waiting = {mail.key: mail for mail in batch}
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._clock.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            last = attempt == _ATTEMPTS - 1
            try:
                self._send_once(url, list(waiting.values()), posted, last=last)
            except (BotoCoreError, ClientError) as error:
                if not posted.ids:
                    raise
                # What was sent before must be known to have been.
                rest = [key for key in waiting if not posted.settles(key)]
                posted.refused.update(dict.fromkeys(rest, str(error)))
            waiting = {key: mail for key, mail in waiting.items() if not posted.settles(key)}
            if not waiting:
                break
        posted.refused.update(dict.fromkeys(waiting, f"SQS failed {_ATTEMPTS} times"))
        return posted

    def _send_once(self, url: str, batch: Sequence[Mail], posted: Posted, *, last: bool) -> None:
        try:
            answer = self._sqs.send_message_batch(
                QueueUrl=url, Entries=[_entry(index, mail) for index, mail in enumerate(batch)]
            )
        except ClientError as error:
            self._refused(error, url, batch, posted, last=last)
            return
        except _UNSENT:
            if last:
                raise
            return
        except BotoCoreError as error:
            posted.doubtful.update(dict.fromkeys(_keys(batch), f"SQS did not answer: {error}"))
            return
        for sent in answer.get("Successful", ()):
            posted.ids[batch[int(sent["Id"])].key] = sent["MessageId"]
        for failed in answer.get("Failed", ()):
            if failed["SenderFault"]:
                posted.refused[batch[int(failed["Id"])].key] = _reason(failed)

    def _refused(
        self, error: ClientError, url: str, batch: Sequence[Mail], posted: Posted, *, last: bool
    ) -> None:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status >= _SERVERS_FAULT:
            reason = f"SQS failed: {_reason(error.response['Error'])}"
            posted.doubtful.update(dict.fromkeys(_keys(batch), reason))
        elif any(word in error.response["Error"]["Code"] for word in _LATER):
            if last:
                raise error
        elif status != _SENDERS_FAULT:
            raise error
        elif len(batch) == 1:
            posted.refused[batch[0].key] = _reason(error.response["Error"])
        else:
            # One of them is at fault: alone, each is answered for itself.
            for mail in batch:
                self._send_once(url, [mail], posted, last=last)


def _keys(batch: Sequence[Mail]) -> list[str]:
    return [mail.key for mail in batch]


def _entry(index: int, mail: Mail) -> SendMessageBatchRequestEntryTypeDef:
    return {"Id": str(index), "MessageBody": mail.body, "MessageAttributes": mail.attributes}


def _reason(error: Mapping[str, object]) -> str:
    return f"{error.get('Code', 'unknown')}: {error.get('Message', 'no message')}"
