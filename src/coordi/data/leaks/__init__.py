"""The leak audit: ways in which the answer could be told without looking at clothes, each with what it is worth.

Read from ``auditing`` (what is looked for, and where); ``chance`` decides what is beyond chance. ``order``, ``ids``,
``surface`` and ``candidates`` measure cheats; ``copies``, ``titles`` and ``photos`` find what two splits share.
"""

from coordi.data.leaks.auditing import audit
from coordi.data.leaks.leak import Leak, LeakName

__all__ = ["Leak", "LeakName", "audit"]
