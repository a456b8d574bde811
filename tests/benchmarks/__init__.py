"""How fast ganforge is: the same work three ways, side by side in one process.

    cd tests && python -m benchmarks            # the suite: ratios, shares of the bound, peak memory
    cd tests && python -m benchmarks.growth     # cost against batch, resolution, processes, data
    cd tests && python -m benchmarks.startup    # from the command line to its first result

The ways differ in the loop alone: networks and priors are ganforge's in all three, so that weights
and batches can be given to each and must come out the same (tests/benchmarks/test_benchmarks.py).
"""
