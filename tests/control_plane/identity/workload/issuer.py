"""A scripted issuer: signs tokens with keys of its own, and serves discovery and keys over HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "https://switchyard.example.com"


class Issuer:
    """keys: key id to (algorithm, private key). served: which of them its JWKS holds."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, tuple[str, Any]] = {}
        self.served: list[str] = []
        self.asked: list[str] = []
        self.is_down = False
        self.names_itself = ""
        self.add_key("rsa-1", "RS256")

    def add_key(self, key_id: str, algorithm: str) -> None:
        made = {
            "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[algorithm]()
        self.keys[key_id] = (algorithm, made)
        self.served.append(key_id)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.public(key_id) for key_id in self.served]}

    def public(self, key_id: str) -> dict[str, Any]:
        algorithm, key = self.keys[key_id]
        writer = jwt.algorithms.get_default_algorithms()[algorithm]
        written = json.loads(writer.to_jwk(key.public_key()))
        written.pop("key_ops", None)
        return {**written, "kid": key_id, "use": "sig", "alg": algorithm}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "repository": "acme/shop",
            "ref": "refs/heads/main",
            "jti": uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key_id: str = "rsa-1", *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        algorithm, key = self.keys[key_id]
        return jwt.encode(self.claims(**changes), key, algorithm, headers={"kid": key_id, **(headers or {})})


@contextmanager
def serving(issuer: Issuer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            answers = {
                "/.well-known/openid-configuration": {
                    "issuer": issuer.names_itself or issuer.url,
                    "jwks_uri": f"{issuer.url}/keys",
                },
                "/keys": issuer.jwks(),
            }
            found = None if issuer.is_down else answers.get(self.path)
            sent = json.dumps(found).encode()
            self.send_response(503 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
