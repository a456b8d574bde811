"""What is measured or tried at length, out of the tests' time.

    cd tests && python -m experiments.torture            # kills a run again and again
    cd tests && python -m experiments.logging_throughput # what W&B costs a run
    cd tests && python -m experiments.false_alarms       # what the sentinel says of recorded runs

and, in several processes, `torchrun -m experiments.equality_table`: gradients against those of one process.
"""
