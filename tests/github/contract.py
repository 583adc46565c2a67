"""GitHub's published descriptions, to which the stand-in's every request and response is held."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from graphql import build_schema
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from openapi_schema_validator import OAS30Validator

from tests.github.published import GRAPHQL, REST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLSchema

HOST = "https://api.github.com"


class ContractBroken(AssertionError):
    """A request or response that GitHub's description does not allow."""


@dataclass(frozen=True)
class Contract:
    """The description, and the examples in it."""

    description: dict[str, Any]
    openapi: OpenAPI

    def example(self, name: str) -> Any:
        """A copy of a published example response."""
        return json.loads(json.dumps(self.description["components"]["examples"][name]["value"]))

    def request(self, method: str, path: str, query: Mapping[str, str], body: bytes, content_type: str) -> MockRequest:
        """The request, if GitHub would take it. Raises ContractBroken.

        What the description leaves open but GitHub ignores, so that a typo would pass, is refused as well: unknown
        query parameters and unknown keys of the body.
        """
        asked = MockRequest(HOST, method.lower(), path, args=dict(query), data=body or None, content_type=content_type)
        what = f"{method} {path}"
        try:
            self.openapi.validate_request(asked)
        except OpenAPIError as wrong:
            raise ContractBroken(f"{what}: {_why(wrong)}") from wrong
        operation, known = self._operation(method, path)
        if extra := set(query) - known:
            raise ContractBroken(f"{what}: unknown query parameters {sorted(extra)}")
        if "requestBody" in operation:
            known = self._keys(operation["requestBody"]["content"]["application/json"]["schema"])
            if extra := set(json.loads(body or b"{}")) - known:
                raise ContractBroken(f"{what}: unknown keys {sorted(extra)} in the body")
        return asked

    def response(self, asked: MockRequest, status: int, body: bytes) -> None:
        """Raise ContractBroken unless GitHub could answer so. Statuses it lists nowhere must be a basic error."""
        operation, _ = self._operation(asked.method.upper(), asked.path)
        what = f"{asked.method.upper()} {asked.path} → {status}"
        if str(status) not in operation["responses"]:
            schema = self.description["components"]["schemas"]["basic-error"]
            wrong = [error.message for error in OAS30Validator(schema).iter_errors(json.loads(body))]
            if status < 300 or wrong:
                raise ContractBroken(f"{what}: not a response of this operation {wrong}")
            return
        content = MockResponse(body, status, content_type="application/json" if body else "")
        try:
            self.openapi.validate_response(asked, content)
        except OpenAPIError as error:
            raise ContractBroken(f"{what}: {_why(error)}") from error

    def _operation(self, method: str, path: str) -> tuple[dict[str, Any], set[str]]:
        """The operation that `path` belongs to, and the names of its query parameters."""
        steps = path.strip("/").split("/")
        for template, item in self.description["paths"].items():
            wanted = template.strip("/").split("/")
            if len(wanted) == len(steps) and all(
                want.startswith("{") or want == step for want, step in zip(wanted, steps, strict=True)
            ):
                operation = item[method.lower()]
                shared = [self._resolve(one) for one in operation.get("parameters", [])]
                return operation, {one["name"] for one in shared if one["in"] == "query"}
        raise ContractBroken(f"{method} {path}: GitHub has no such path")

    def _keys(self, node: dict[str, Any]) -> set[str]:
        """The keys that an object of this schema, or of one of its alternatives, may have."""
        schema = self._resolve(node)
        ways = [way for word in ("oneOf", "anyOf", "allOf") for way in schema.get(word, [])]
        return set(schema.get("properties", {})).union(*map(self._keys, ways))

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.description
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node


def _why(error: OpenAPIError) -> str:
    """The rules that were broken, without the value that broke them, which may be long."""
    for one in (error, error.__cause__):
        if broken := getattr(one, "schema_errors", None):
            return "; ".join(f"{'/'.join(map(str, rule.absolute_path))}: {rule.message[:200]}" for rule in broken)
    return f"{error} {error.__cause__ or ''}"[:400]


@cache
def load() -> Contract:
    """The description. Raises FileNotFoundError that says how to get it, or the GraphQL schema."""
    GRAPHQL.get()
    description = json.loads(REST.get().read_text())
    # The description is GitHub's, not under test; checking it whole takes minutes.
    return Contract(description, OpenAPI.from_dict(description, config=Config(spec_validator_cls=None)))


@cache
def graphql() -> GraphQLSchema:
    """The GraphQL schema. Raises as `load`."""
    return build_schema(GRAPHQL.get().read_text(), assume_valid=True)


def contract() -> Contract:
    """The description, for a test: where it cannot be had the test fails in CI and skips elsewhere."""
    try:
        return load()
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
