"""Every component keeps the contract of its kind."""

from ganforge.testing import conformance

import my_gan

test_conformance = conformance(my_gan)
