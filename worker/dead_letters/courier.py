"""The courier: a process of its own that sends copies, and outlives the command that is killed.

Between SQS taking a copy and the manifest saying so lies a moment. A command that is killed there
(kill -9, a closed terminal, the OOM killer) would leave letters of which nobody knows whether their
copy was sent. The courier shares none of these: when its command is gone, it ends the calls it has
begun, writes down their answers, and goes. It holds the manifest's lock meanwhile, so whoever
resumes waits for it. Only what ends both at once, such as a power cut, leaves a doubt.

One JSON document a line, from the command on standard input, back on standard output.
"""

from __future__ import annotations

import subprocess
import sys
from typing import IO, TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from worker.aws import sqs_without_retries
from worker.clock import SystemClock
from worker.dead_letters.errors import BadManifest, SendingFailed
from worker.dead_letters.letter_file import StoredAttribute, store
from worker.dead_letters.mail import Mail, Posted
from worker.dead_letters.manifest import Journal
from worker.dead_letters.post import Post
from worker.dead_letters.sending import Sending
from worker.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from worker.dead_letters.manifest import Manifest

_END_SECONDS = 60.0


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Parcel(_Strict):
    key: str
    body: str
    attributes: dict[str, StoredAttribute]


class _Errand(_Strict):
    url: str
    parcels: tuple[_Parcel, ...]


class _Answer(_Strict):
    ids: dict[str, str] = {}
    refused: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    error: str | None = None


class Courier:
    """The command's end; a context manager.

    Args:
        manifest: the replay's; the courier writes what it sends.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "worker.dead_letters.courier", str(manifest.descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(manifest.descriptor,),
            # Neither Ctrl-C nor a closed terminal is for the courier.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """It runs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let it end what it has begun."""
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(_END_SECONDS)
        finally:
            self._pipe(self._process.stdout).close()

    def send(self, url: str, mails: Sequence[Mail]) -> Posted:
        """Send each to the queue; the manifest knows of each when this returns.

        Raises:
            SendingFailed: SQS refuses the caller or cannot be reached, or the courier ended.
        """
        errand = _Errand(
            url=url,
            parcels=tuple(
                _Parcel(
                    key=mail.key,
                    body=mail.body,
                    attributes={name: store(value) for name, value in mail.attributes.items()},
                )
                for mail in mails
            ),
        )
        outward = self._pipe(self._process.stdin)
        try:
            outward.write(errand.model_dump_json().encode() + b"\n")
            outward.flush()
            line = self._pipe(self._process.stdout).readline()
            answer = _Answer.model_validate_json(line)
        except (OSError, ValidationError):
            raise SendingFailed(
                f"the process that sends ended with code {self._process.poll()}; the same command "
                "resumes the replay"
            ) from None
        if answer.error is not None:
            raise SendingFailed(answer.error)
        return Posted(answer.ids, answer.refused, answer.doubtful)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None  # noqa: S101 - both were asked for
        return pipe


def serve(descriptor: int) -> None:
    """The courier's end: send until the command has no more, or is no more."""
    clock = SystemClock()
    post = Post(sqs_without_retries(load_settings()), clock)
    with Sending(post, clock, Journal(descriptor)) as sending:
        for line in sys.stdin.buffer:
            # Half a line is the last word of a command that was killed.
            if line.endswith(b"\n"):
                sys.stdout.write(_run(sending, line).model_dump_json() + "\n")
                sys.stdout.flush()


def _run(sending: Sending, line: bytes) -> _Answer:
    errand = _Errand.model_validate_json(line)
    mails = [
        Mail(each.key, each.body, {name: value.value() for name, value in each.attributes.items()})
        for each in errand.parcels
    ]
    try:
        posted = sending.send(errand.url, mails)
    except (BotoCoreError, ClientError) as error:
        return _Answer(error=f"AWS: {error}")
    except BadManifest as error:
        return _Answer(error=str(error))
    return _Answer(ids=posted.ids, refused=posted.refused, doubtful=posted.doubtful)


if __name__ == "__main__":
    try:
        serve(int(sys.argv[1]))
    except BrokenPipeError:
        # The command is gone; what was sent is written down.
        sys.stderr.close()
