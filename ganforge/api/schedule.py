"""Numbers that change over a run: a ramp over the images seen.

A key of type `Scheduled` takes a number, or a table such as `{start = 0.05, end = 0.005, over = 20_000_000}`.
A component computes with `self.weight` either way: in a run, the component's own copy holds a float32 tensor
without dimensions on the run's device, which the engine sets before each iteration.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Ramp(BaseModel):
    """A number that goes from one value to another while images are seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    start: float = Field(description="The value at first.")
    end: float = Field(description="The value at last.")
    over: int = Field(ge=0, description="Images seen in which it goes from start to end; 0 = at once.")
    after: int = Field(0, ge=0, description="Images seen before it begins to change.")
    shape: Literal["linear", "cosine", "exponential"] = Field(
        "linear",
        description="linear; cosine: half a period, slow at both ends; exponential: by equal factors, from "
        "and to numbers above 0.",
    )

    def at(self, images_seen: int) -> float:
        """The value after `images_seen`."""
        done = images_seen - self.after
        if done <= 0 < self.over or done < 0:
            return self.start
        if done >= self.over:
            return self.end
        share = done / self.over
        if self.shape == "exponential":
            return float(self.start * (self.end / self.start) ** share)
        if self.shape == "cosine":
            share = 0.5 * (1.0 - math.cos(math.pi * share))
        return self.start + (self.end - self.start) * share

    # A bound holds for a ramp where it holds for both of its ends.

    def __ge__(self, bound: float) -> bool:
        return self.start >= bound and self.end >= bound

    def __gt__(self, bound: float) -> bool:
        return self.start > bound and self.end > bound

    def __le__(self, bound: float) -> bool:
        return self.start <= bound and self.end <= bound

    def __lt__(self, bound: float) -> bool:
        return self.start < bound and self.end < bound

    def model_post_init(self, context: Any) -> None:
        if self.shape == "exponential" and not (self.start > 0 and self.end > 0):
            raise ValueError(
                f"expected an exponential ramp between numbers above 0, got start = {self.start:g} and "
                f"end = {self.end:g}"
            )


BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}


class _OrRamp:
    """Lets a number be a `Ramp`, whose ends keep to the number's bounds."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = handler(source)
        bounds = {name: number[name] for name in BOUNDS if name in number}
        whole = number["type"] == "int"

        def validate(value: Any, plain: Any) -> Any:
            if not isinstance(value, dict | Ramp):
                return plain(value)
            ramp = value if isinstance(value, Ramp) else Ramp.model_validate(value)
            for end in ("start", "end"):
                _within(getattr(ramp, end), end, bounds, whole)
            return ramp

        def dump(value: Any, plain: Any) -> Any:
            return value.model_dump() if isinstance(value, Ramp) else plain(value)

        serialization = core_schema.wrap_serializer_function_ser_schema(dump, schema=number)
        return core_schema.no_info_wrap_validator_function(validate, number, serialization=serialization)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        number: Any = schema["schema"]
        return {"anyOf": [handler(number), handler(Ramp.__pydantic_core_schema__)]}


def _within(value: float, end: str, bounds: dict[str, float], whole: bool) -> None:
    kept = {
        "ge": lambda bound: value >= bound,
        "gt": lambda bound: value > bound,
        "le": lambda bound: value <= bound,
        "lt": lambda bound: value < bound,
    }
    for name, bound in bounds.items():
        if not kept[name](bound):
            raise ValueError(f"expected a ramp whose {end} is {BOUNDS[name]} {bound:g}, got {value:g}")
    if whole and value != int(value):
        raise ValueError(f"expected a ramp whose {end} is a whole number, got {value:g}")


if TYPE_CHECKING:
    Scheduled = float
    ScheduledInt = int
else:
    Scheduled = Annotated[float, _OrRamp()]
    ScheduledInt = Annotated[int, _OrRamp()]
