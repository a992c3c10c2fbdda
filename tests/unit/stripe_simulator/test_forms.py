import pytest

from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.forms import Form


def test_nested_objects_and_arrays_are_read() -> None:
    form = Form.decode(
        b"payload[value]=5&items[0][price]=p1&items[1][price]=p2&types[]=a&types[]=b&name=a%20b+c"
    )

    assert form.section("payload").text("value") == "5"
    assert [item.text("price") for item in form.sections("items")] == ["p1", "p2"]
    assert form.texts("types") == ["a", "b"]
    assert form.text("name") == "a b c"


def test_a_percent_encoded_name_is_read_as_the_library_sends_it() -> None:
    assert Form.decode(b"payload%5Bvalue%5D=5").mapping("payload") == {"value": "5"}


def test_complaints_name_the_parameter_in_form_notation() -> None:
    form = Form.decode(b"recurring[interval]=month&limit=ten&unknown=1")

    with pytest.raises(ApiError) as missing:
        form.section("recurring").required("meter")
    with pytest.raises(ApiError) as wrong:
        form.integer("limit")
    with pytest.raises(ApiError) as unknown:
        form.only("recurring", "limit")

    assert (missing.value.param, missing.value.code) == ("recurring[meter]", "parameter_missing")
    assert (wrong.value.param, wrong.value.code) == ("limit", "parameter_invalid_integer")
    assert (unknown.value.param, unknown.value.code) == ("unknown", "parameter_unknown")


@pytest.mark.parametrize("body", [b"a=1&a[b]=2", b"a=1&a[b][c]=2"])
def test_a_value_that_is_an_object_too_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="Invalid object"):
        Form.decode(body)
