"""Settings that every test shares."""

import signal

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)

# A shell's background jobs inherit an ignored Ctrl-C, and so would the processes tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
