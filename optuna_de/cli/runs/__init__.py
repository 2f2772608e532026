"""The runs of the commands: what each does after its options were read. These load torch."""
