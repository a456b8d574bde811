"""The loop of the tutorials: pictures through PIL and a DataLoader, a backward pass for real samples
and one for fakes, `.item()` at every step, nothing frozen, torch's defaults throughout.

Like the DCGAN tutorial of PyTorch and the scripts of PyTorch-GAN, written afresh. It is spared two
of their costs: its pictures lie at the size of training, and the discriminator's update does not
run back through the generator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.job import Job, Order
from benchmarks.objectives import OBJECTIVES, penalty, r1, surprise
from ganforge.api import Draw, Verdict


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """PNG files, or digits in memory, and their labels."""

    def __init__(self, job: Job) -> None:
        # Imported here: torchvision takes seconds.
        from torchvision import transforms

        self.files = job.pictures
        self.images = None if job.pictures else job.samples.images[:, 0].numpy()
        self.labels = job.samples.labels
        channels = job.samples.images.shape[1]
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,) * channels, (0.5,) * channels)]
        )

    def __len__(self) -> int:
        return len(self.files or self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture = Image.open(self.files[index]) if self.files else Image.fromarray(self.images[index])
        label = torch.empty(0) if self.labels is None else self.labels[index].float()
        return self.transform(picture), label


class Endless:
    """The numbers of every batch, without an end at which the workers would restart."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[int]]:
        for index in itertools.count():
            yield self.order(index).tolist()


class TutorialLoop:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.networks = job.agreed.networks()
        self.generator, self.discriminator = (net.to(job.device).train() for net in self.networks)
        sides = ((self.generator, job.config.generator), (self.discriminator, job.config.discriminator))
        self.g_optimizer, self.d_optimizer = (
            torch.optim.Adam(
                net.parameters(), lr=side.optimizer.lr, betas=side.optimizer.betas, eps=side.optimizer.eps
            )
            for net, side in sides
        )
        order = Endless(job.choose(torch.device("cpu")))
        loader = DataLoader(Pictures(job), batch_sampler=order, num_workers=job.workers)
        self.batches = iter(loader)
        self.objective = OBJECTIVES[job.config.loss.type]
        self.terms = {term.type: term.weight for term in job.config.terms}
        self.rng = job.stream()
        self.updates = 0
        self.iterations = 0
        self.history: list[float] = []

    def iterate(self) -> None:
        for _ in range(self.job.config.train.d_updates):
            images, labels = next(self.batches)
            real = images.to(self.job.device)
            cond = labels.to(self.job.device) if labels.shape[1] else None
            self._update_discriminator(real, cond)
        self._update_generator(len(real), cond)
        self.iterations += 1

    def synchronize(self) -> None:
        self.history.clear()

    def _update_discriminator(self, real: Tensor, cond: Tensor | None) -> None:
        self.discriminator.zero_grad()
        verdict = self._judge(real, cond)
        on_real = self.objective.on_real(verdict.logits)
        on_real.backward()
        rng = self.rng("d", self.updates)
        self.made = self._make(len(real), cond, rng)
        draw, fake = self.made[0], self.made[1].detach()
        verdict = self._judge(fake, cond)
        on_fake = self.objective.on_fake(verdict.logits)
        if "mutual_information" in self.terms:
            on_fake = on_fake + surprise(verdict.heads, draw.codes)
        if "gradient_penalty" in self.terms:
            on_fake = on_fake + penalty(lambda x: self.discriminator(x, cond).logits, real, fake, rng)
        if "r1" in self.terms:
            on_fake = on_fake + r1(lambda x: self.discriminator(x, cond).logits, real, self.terms["r1"])
        on_fake.backward()
        self.history.append((on_real + on_fake).item())
        self.history.append(verdict.logits.mean().item())
        self.d_optimizer.step()
        self.updates += 1

    def _update_generator(self, n: int, cond: Tensor | None) -> None:
        self.generator.zero_grad()
        reuse = self.job.reuse
        draw, fake = self.made if reuse else self._make(n, cond, self.rng("g", self.iterations))
        verdict = self._judge(fake, cond)
        loss = self.objective.for_g(verdict.logits)
        if "mutual_information" in self.terms:
            loss = loss + surprise(verdict.heads, draw.codes)
        loss.backward()
        self.history.append(loss.item())
        self.history.append(verdict.logits.mean().item())
        self.g_optimizer.step()

    def _make(self, n: int, cond: Tensor | None, rng: torch.Generator) -> tuple[Draw, Tensor]:
        draw = self.job.config.prior.sample(n, cond, rng)
        with self.job.autocast():
            fake = self.generator(draw.z, cond)
        return draw, fake.float()

    def _judge(self, x: Tensor, cond: Tensor | None) -> Verdict:
        with self.job.autocast():
            verdict = self.discriminator(x, cond)
        return Verdict(verdict.logits.float(), {name: head.float() for name, head in verdict.heads.items()})
