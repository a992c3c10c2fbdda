"""The compute template as far as the emulator goes: it knows no Application Auto Scaling."""

from __future__ import annotations

import re

_SCALING = ("ScalableTarget", "ScaleOutPolicy", "ScaleInPolicy")


def without_scaling(template: str) -> str:
    """The template without its scaling: the target, its policies, and the alarms' use of them."""
    head, resources = template.split("\nResources:\n")
    blocks = re.split(r"(?m)^(?=  \w+:\n)", resources)
    kept = [block for block in blocks if not block.lstrip().startswith(_SCALING)]
    body = re.sub(r"\n      AlarmActions: \[!Ref Scale\w+\]", "", "".join(kept))
    return f"{head}\nResources:\n{body}"
