"""What can execute a command: the native interpreter now; SAS in subprocesses beside it."""
