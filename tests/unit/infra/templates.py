"""Reads a template as CloudFormation does, short forms and all."""

from __future__ import annotations

from typing import Any, cast

import yaml

from infra.stack import template_path

# A template is JSON of any shape; every test asserts the part that it looks at.
Resource = dict[str, Any]


class ShortForms(yaml.SafeLoader):
    """Reads `!Ref x` as `{"Ref": "x"}`, as CloudFormation does."""


def long_form(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Resource:
    match node:
        case yaml.ScalarNode():
            value: object = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    if name == "GetAtt":
        value = str(value).split(".", 1)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


ShortForms.add_multi_constructor("!", long_form)


def read_template(name: str) -> Resource:
    """The template `infra/<name>.yaml`."""
    read: Resource = yaml.load(
        template_path(name).read_text(encoding="utf-8"),
        Loader=ShortForms,  # noqa: S506 - a SafeLoader
    )
    return read
