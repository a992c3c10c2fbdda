"""A request as the simulator reads it before it judges it."""

from dataclasses import dataclass

from infra.stripe_simulator.forms import Form
from infra.stripe_simulator.messages import Request


@dataclass(frozen=True, slots=True)
class Received:
    """A request, decoded, and whom it is about.

    Attributes:
        request: As it came.
        form: Its parameters, from the body of a POST or from the query.
        identifier: A meter event's, or of the event to cancel.
        customer: Named in a meter event's payload or as a parameter.
        usage: For a meter event, its customer and event name: one call at a time.
        idempotency_key: Of a POST.
    """

    request: Request
    form: Form
    identifier: str | None
    customer: str | None
    usage: tuple[str, str] | None
    idempotency_key: str | None
