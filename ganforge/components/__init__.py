"""Components: the registry, calls checked against the contract, and attribution of faults."""
