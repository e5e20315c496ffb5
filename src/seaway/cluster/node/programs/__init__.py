"""Built-in programs that stand in for test images. Each is a module with `main(argv) -> int`, honours the original's
arguments and environment, and refuses what it does not know."""
