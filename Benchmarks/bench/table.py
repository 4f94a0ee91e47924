"""The table of figures: each with its target beside it, and a verdict."""


class Table:
    """Rows as they are measured. `judges_times` is false in a smoke run: a busy machine's times say nothing."""

    def __init__(self, judges_times):
        self.judges_times = judges_times
        self.passed = 0
        self.failed = 0

    def title(self, text):
        print(f"\n{text}\n{'figure':<58} {'measured':>10} {'target':>10}", flush=True)

    def time(self, name, value, target, unit=""):
        """A figure that depends on how busy the machine is. `target` is ("<=", n) or (">=", n)."""
        self._row(name, value, target, unit, self.judges_times)

    def size(self, name, value, target, unit=""):
        """A figure that does not."""
        self._row(name, value, target, unit, True)

    def holds(self, name, is_true, words):
        """Something that is so or is not."""
        self._count(is_true)
        print(f"{name:<58} {words:>10} {'':>10}  {'ok' if is_true else 'MISSED'}", flush=True)

    def note(self, name, words):
        """Something to know that nothing is demanded of."""
        print(f"{name:<58} {words:>10}", flush=True)

    def broken(self, what, error):
        """A part that could not be measured."""
        self._count(False)
        print(f"{what}: {type(error).__name__}: {error}", flush=True)

    def _row(self, name, value, target, unit, is_judged):
        relation, limit = target
        is_met = value <= limit if relation == "<=" else value >= limit
        self._count(is_met or not is_judged)
        verdict = "ok" if is_met else "MISSED" if is_judged else "(not judged)"
        print(f"{name:<58} {value:>10.2f} {relation + ' ' + str(limit):>10}  {verdict} {unit}".rstrip(), flush=True)

    def _count(self, is_met):
        if is_met:
            self.passed += 1
        else:
            self.failed += 1
