"""The API without faults: who may call, what was answered before, and the endpoint's answer."""

from infra.stripe_simulator.books import Books
from infra.stripe_simulator.calls import Call
from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.forms import Form
from infra.stripe_simulator.idempotency import Idempotency
from infra.stripe_simulator.keys import authenticate, permit
from infra.stripe_simulator.messages import Json, Request, Response, encode
from infra.stripe_simulator.received import Received
from infra.stripe_simulator.routes import METER_EVENTS, Route, Router, table
from infra.stripe_simulator.settings import ApiKey
from infra.stripe_simulator.traffic import Traffic

_VERSION = "2026-10-28.endive"


class Api:
    """Answers requests from the books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._router = Router(table(books))
        self._idempotency = Idempotency()
        self._traffic = Traffic()

    def receive(self, request: Request) -> Received:
        """Decode a request.

        Raises:
            ApiError: 400, its parameters contradict each other.
        """
        is_post = request.method == "POST"
        form = Form.decode(request.body if is_post else request.query)
        customer = form.peek("customer")
        usage = None
        event_name = form.peek("event_name")
        if event_name is not None and request.path == METER_EVENTS:
            meter = self._books.meters.active(event_name)
            key = meter.customer_key if meter is not None else "stripe_customer_id"
            customer = form.peek("payload", key)
            usage = (customer or "", event_name)
        return Received(
            request=request,
            form=form,
            identifier=form.peek("identifier") or form.peek("cancel", "identifier"),
            customer=customer,
            usage=usage,
            idempotency_key=request.headers.get("idempotency-key") if is_post else None,
        )

    def serve(self, received: Received, now: float, *, broken: bool = False) -> Response:
        """Do what is asked at `now` (epoch seconds); with `broken`, answer 500 all the same."""
        request, second = received.request, int(now)
        try:
            key = authenticate(request.headers, self._books.settings)
            self._limit(received, key, now)
            replayed = self._replayed(received, key, second)
            if replayed is not None:
                return replayed
            route, args = self._router.find(request.method, request.path)
            permit(key, route.permission)
        except ApiError as error:
            return self.refusal(error, request)
        call = Call(received.form, second, key.livemode, key.account, request.path, args)
        response, executed = self._execute(route, call, request)
        if broken:
            failure = ApiError(500, "An unknown error occurred.", kind="api_error")
            response, executed = self.refusal(failure, request), True
        if executed and received.idempotency_key is not None:
            self._idempotency.save(key.account, received.idempotency_key, request, response, second)
        return response

    def refusal(self, error: ApiError, request: Request) -> Response:
        """The response to an error."""
        details: dict[str, Json] = {"type": error.kind, "message": error.message}
        if error.code is not None:
            details["code"] = error.code
            anchor = error.code.replace("_", "-")
            details["doc_url"] = f"https://docs.stripe.com/error-codes#{anchor}"
        if error.param is not None:
            details["param"] = error.param
        headers = {**self._headers(request), **error.headers}
        return Response(error.status, headers, encode({"error": details}).encode())

    def save(self, received: Received, response: Response, now: float) -> None:
        """Keep `response` as the answer to the request's idempotency key, if it has both keys."""
        if received.idempotency_key is None:
            return
        try:
            key = authenticate(received.request.headers, self._books.settings)
        except ApiError:
            return
        self._idempotency.save(
            key.account, received.idempotency_key, received.request, response, int(now)
        )

    def begin(self, received: Received, until: float) -> int:
        """Count the request as in progress until the clock says `until`; returns its number."""
        return self._traffic.begin(received.idempotency_key, received.usage, until)

    def end(self, call: int) -> None:
        """That call is over."""
        self._traffic.end(call)

    def _limit(self, received: Received, key: ApiKey, now: float) -> None:
        settings = self._books.settings
        if received.usage is None:
            kind, limit = "other", settings.other_rate_limit
        elif key.livemode:
            kind, limit = "live", settings.live_rate_limit
        else:
            kind, limit = "sandbox", settings.sandbox_rate_limit
        self._traffic.count(kind, limit, int(now))
        self._traffic.admit(received.idempotency_key, received.usage, settings, now)

    def _replayed(self, received: Received, key: ApiKey, now: int) -> Response | None:
        if received.idempotency_key is None:
            return None
        saved = self._idempotency.find(key.account, received.idempotency_key, received.request, now)
        if saved is None:
            return None
        headers = {
            **self._headers(received.request),
            **saved.headers,
            "Idempotent-Replayed": "true",
            "Original-Request": saved.request_id,
        }
        return Response(saved.status, headers, saved.body)

    def _execute(self, route: Route, call: Call, request: Request) -> tuple[Response, bool]:
        """The endpoint's answer, and whether its work had begun."""
        try:
            body = encode(route.handler(call)).encode()
        except ApiError as error:
            return self.refusal(error, request), error.executed
        return Response(200, self._headers(request), body), True

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Request-Id": self._books.ids.next("req"),
            "Stripe-Version": request.headers.get("stripe-version", _VERSION),
        }
        key = request.headers.get("idempotency-key")
        if key is not None:
            headers["Idempotency-Key"] = key
        return headers
