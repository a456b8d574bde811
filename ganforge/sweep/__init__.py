"""Many runs of one run file, with parameters chosen by Optuna.

The study is Optuna's; ganforge ensures that each trial is an ordinary run folder, trained by an
ordinary `ganforge run` in a process of its own, and that no trial is lost with its worker.
"""
