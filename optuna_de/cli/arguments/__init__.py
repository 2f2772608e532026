"""Arguments of a command before its module is loaded: files of options, and early checks."""
