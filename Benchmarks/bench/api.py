"""The daemon's calls, as bytes."""

import json


def call(method, parameters=None, more=False):
    message = {"method": f"io.vfiogroupd.Groups.{method}"}
    if parameters:
        message["parameters"] = parameters
    if more:
        message["more"] = True
    return json.dumps(message, separators=(",", ":")).encode() + b"\0"


def parameters(reply):
    """A reply's parameters; an error raises."""
    message = json.loads(reply[:-1])
    if "error" in message:
        raise RuntimeError(message)
    return message["parameters"]
