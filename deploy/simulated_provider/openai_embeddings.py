"""OpenAI embeddings: vectors that depend on nothing but the text. Source: the vendor's SDK types."""

import array
import hashlib
import json
import sys
from base64 import b64encode
from typing import Any

from deploy.simulated_provider.ask import Ask, InvalidAsk, Json

DEFAULT_DIMENSIONS = 1536


def read_ask(body: Json) -> Ask:
    """Read a request body. Raises InvalidAsk."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidAsk("you must provide a model parameter", "model")
    if not isinstance(body.get("input"), str | list) or not body["input"]:
        raise InvalidAsk("Missing required parameter: 'input'.", "input")
    return Ask(protocol="openai_embeddings", model=model, streams=False, passages=())


def write_whole(body: Json, model: str, told_tokens: int | None) -> Json:
    """Write one vector per input, as floats or as base64 of little-endian 32-bit floats.

    told_tokens: None leaves usage out.
    """
    given = body["input"]
    tokenized = isinstance(given, list) and all(isinstance(item, int) for item in given)
    inputs = [given] if isinstance(given, str) or tokenized else given
    asked = body.get("dimensions")
    dimensions = asked if isinstance(asked, int) and 0 < asked <= 8192 else DEFAULT_DIMENSIONS
    encoded = body.get("encoding_format") == "base64"
    vectors = [_vector(json.dumps(item), dimensions) for item in inputs]
    answer: Json = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if encoded else vector.tolist()}
            for index, vector in enumerate(vectors)
        ],
        "model": model,
    }
    return (
        answer
        if told_tokens is None
        else answer | {"usage": {"prompt_tokens": told_tokens, "total_tokens": told_tokens}}
    )


def _vector(text: str, dimensions: int) -> "array.array[float]":
    """Spread a digest of the text over the dimensions; each number lies in [-1, 1)."""
    stream = hashlib.shake_128(text.encode(errors="replace")).digest(dimensions)
    return array.array("f", ((byte - 128) / 128 for byte in stream))


def _base64(vector: Any) -> str:
    if sys.byteorder == "big":
        vector = array.array("f", vector)
        vector.byteswap()
    return b64encode(vector.tobytes()).decode()
