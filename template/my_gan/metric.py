"""The metric: numbers of generated samples against the data."""

from __future__ import annotations

from typing import Literal

from ganforge.api import Field, Metric, Sampler, Samples


class MyMetric(Metric):
    """Difference of the mean brightness of generated and real samples, in units of [-1, 1]."""

    type: Literal["my"] = "my"
    samples: int = Field(256, ge=1, description="Number of generated samples.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        fake = sampler.sample(self.samples, self.seed)
        real = samples.images[: self.samples].float() / 127.5 - 1
        return {"my_brightness": float(fake.mean() - real.mean())}
