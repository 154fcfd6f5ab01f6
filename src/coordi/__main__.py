"""``python -m coordi`` is ``coordi``."""

from coordi.cli import start

start()
