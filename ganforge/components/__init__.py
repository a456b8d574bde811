"""Components and whose they are: the registry, calls held to the contract, faults with a name."""
