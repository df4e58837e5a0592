"""Forms that several resources share: ids in addresses, moments, items of a bulk write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field, SkipValidation, ValidationError

from oneshelf.core.errors import Stop
from oneshelf.core.instants import to_us

from .problems import ApiError, Problem, of_error
from .route import Body

#: Our own numbers, as JSON's readers can hold them.
NUMBER_MAX = 2**53 - 1
Number = Annotated[int, Path(ge=1, le=NUMBER_MAX)]
NumberIn = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
AccountQuery = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="Only this account; 0: all.")]
Moment = Annotated[datetime, Field(strict=False)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
TextQuery = Annotated[str, Query(min_length=1, max_length=255)]
MaybeText = Annotated[str | None, Query(max_length=255)]


def moment(at: datetime | None, where: str = "query:as_of") -> int | None:
    """Return a moment in microseconds. Raises ApiError for one without a time zone."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ApiError("not-valid", f"{where}: say the time zone: 2026-11-29T12:00:00Z.")
    return to_us(at)


AtQuery = Annotated[Moment, Query(description="The moment, with its time zone: 2026-11-29T12:00:00Z.")]


def moment_of(at: datetime) -> int:
    """Return a moment that was given, in microseconds. Raises ApiError for one without a time zone."""
    made = moment(at, "query:at")
    assert made is not None
    return made


#: Most items of one bulk write.
ITEMS_MAX = 1_000

Item = TypeVar("Item", bound=Body)
#: A list whose items are checked one by one, so that a wrong one stops no other.
Items = Annotated[list[SkipValidation[Item]], Field(min_length=1, max_length=ITEMS_MAX)]


class ItemDone(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item: `result` if it was done (status 200), else `problem`. `index`: its place in the request, from 0."""

    index: int
    status: int
    result: dict[str, Any] | None = None
    problem: Problem | None = None


class BulkDone(msgspec.Struct, frozen=True):
    """What became of each item, in the order of the request. A wrong item stops no other."""

    done: int
    failed: int
    items: list[ItemDone]


async def each(items: list[Any], model: type[Item], do: Callable[[Item], Awaitable[Any]]) -> BulkDone:
    """Carry out every item by itself. They go to the writer together, so that many share one commit."""

    async def one(index: int, raw: Any) -> ItemDone:
        try:
            return ItemDone(index, 200, result=await do(model.model_validate(raw)))
        except Stop:
            raise
        except ValidationError as error:
            places = [{**wrong, "loc": ("body", *wrong["loc"])} for wrong in error.errors()]
            answer = of_error(RequestValidationError(places), "")
        except Exception as error:  # its own answer, as if it had come alone
            answer = of_error(error, "")
        said = msgspec.json.decode(bytes(answer.body), type=Problem)
        return ItemDone(index, said.status, problem=said)

    made = await asyncio.gather(*(one(index, raw) for index, raw in enumerate(items)))
    done = sum(item.status == 200 for item in made)
    return BulkDone(done, len(made) - done, list(made))
