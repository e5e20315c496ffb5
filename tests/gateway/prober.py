"""Asks from where it runs: `seaway outside -- python prober.py`. A line in: {"id", "ask", "times"}; a line out: {"id", "told": [...]}."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from asking import ask

ASKERS, AT_ONCE = 16, 4


def main() -> int:
    lock = threading.Lock()
    pool, inner = ThreadPoolExecutor(ASKERS), ThreadPoolExecutor(ASKERS)

    def answer(asked: dict[str, Any]) -> None:
        times = asked.get("times", 1)
        if times == 1:
            told = [ask(asked["ask"])]
        else:
            shares = [times // AT_ONCE + (i < times % AT_ONCE) for i in range(AT_ONCE)]
            told = [t for part in inner.map(lambda n: [ask(asked["ask"]) for _ in range(n)], shares) for t in part]
        line = json.dumps({"id": asked["id"], "told": told}) + "\n"
        with lock:
            sys.stdout.write(line)
            sys.stdout.flush()

    for line in sys.stdin:
        pool.submit(answer, json.loads(line))
    pool.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
