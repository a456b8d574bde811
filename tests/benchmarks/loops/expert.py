"""The best loop that an expert writes by hand, with no framework.

The data lie on the device as uint8, images and weights have their channels last, the rival is
frozen, the fakes of the discriminator's update have no graph, each update has one backward pass and
one fused kernel for its optimizer, and nothing is read from the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.job import Job
from benchmarks.objectives import OBJECTIVES, penalty, r1, surprise
from ganforge.api import Draw, Verdict


class ExpertLoop:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.networks = job.agreed.networks()
        for network in self.networks:
            network.to(job.device).to(memory_format=torch.channels_last).train()
        self.generator, self.discriminator = self.networks
        sides = ((self.generator, job.config.generator), (self.discriminator, job.config.discriminator))
        self.g_optimizer, self.d_optimizer = (
            torch.optim.Adam(
                net.parameters(),
                lr=side.optimizer.lr,
                betas=side.optimizer.betas,
                eps=side.optimizer.eps,
                fused=True,
            )
            for net, side in sides
        )
        self.images = job.samples.images.to(job.device)
        self.labels = None if job.samples.labels is None else job.samples.labels.to(job.device)
        self.order = job.choose(job.device)
        self.objective = OBJECTIVES[job.config.loss.type]
        self.terms = {term.type: term.weight for term in job.config.terms}
        self.rng = job.stream()
        self.updates = 0
        self.iterations = 0
        self.logged = torch.zeros(2, device=job.device)

    def iterate(self) -> None:
        self.discriminator.requires_grad_(True)
        for _ in range(self.job.config.train.d_updates):
            real, cond = self._batch()
            self._update_discriminator(real, cond)
        self.discriminator.requires_grad_(False)
        self._update_generator(len(real), cond)
        self.iterations += 1

    def synchronize(self) -> None:
        self.logged.tolist()
        self.logged.zero_()

    def _batch(self) -> tuple[Tensor, Tensor | None]:
        chosen = self.order(self.updates)
        real = self.images.index_select(0, chosen)
        real = real.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        return real, None if self.labels is None else self.labels.index_select(0, chosen).float()

    def _update_discriminator(self, real: Tensor, cond: Tensor | None) -> None:
        rng = self.rng("d", self.updates)
        with torch.set_grad_enabled(self.job.reuse):
            self.made = self._make(len(real), cond, rng)
        draw, fake = self.made[0], self.made[1].detach()
        verdict = self._judge(fake, cond)
        loss = self.objective.on_real(self._judge(real, cond).logits) + self.objective.on_fake(verdict.logits)
        if "mutual_information" in self.terms:
            loss = loss + surprise(verdict.heads, draw.codes)
        if "gradient_penalty" in self.terms:
            loss = loss + penalty(lambda x: self.discriminator(x, cond).logits, real, fake, rng)
        if "r1" in self.terms:
            loss = loss + r1(lambda x: self.discriminator(x, cond).logits, real, self.terms["r1"])
        self.d_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.d_optimizer.step()
        self.logged[0] += loss.detach()
        self.updates += 1

    def _update_generator(self, n: int, cond: Tensor | None) -> None:
        reuse = self.job.reuse
        draw, fake = self.made if reuse else self._make(n, cond, self.rng("g", self.iterations))
        verdict = self._judge(fake, cond)
        loss = self.objective.for_g(verdict.logits)
        if "mutual_information" in self.terms:
            loss = loss + surprise(verdict.heads, draw.codes)
        self.g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.g_optimizer.step()
        self.logged[1] += loss.detach()

    def _make(self, n: int, cond: Tensor | None, rng: torch.Generator) -> tuple[Draw, Tensor]:
        draw = self.job.config.prior.sample(n, cond, rng)
        with self.job.autocast():
            fake = self.generator(draw.z, cond)
        return draw, fake.float()

    def _judge(self, x: Tensor, cond: Tensor | None) -> Verdict:
        with self.job.autocast():
            verdict = self.discriminator(x, cond)
        return Verdict(verdict.logits.float(), {name: head.float() for name, head in verdict.heads.items()})
