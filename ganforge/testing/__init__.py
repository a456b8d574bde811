"""The conformance kit: does a component keep the contract of its kind?

In a plugin's tests:

    import acme_gan
    from ganforge.testing import conformance

    test_conformance = conformance(acme_gan)

On the command line: `ganforge plugin check acme-gan`.
"""

from __future__ import annotations

from ganforge.testing.kit import Outcome, check, conformance, outcomes
from ganforge.testing.rules import RULES, NotApplicable, Rule, Violation

__all__ = ["RULES", "NotApplicable", "Outcome", "Rule", "Violation", "check", "conformance", "outcomes"]
