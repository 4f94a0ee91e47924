"""The table of figures: each with its target beside it, and a verdict."""


class Table:
    """Rows as they are measured. A smoke run judges no times, since a busy machine's say nothing, and lets sizes be a
    quarter over: which pages are resident depends a little on the machine, and a submission shall not fail for that."""

    def __init__(self, is_smoke):
        self.judges_times = not is_smoke
        self.slack = 1.25 if is_smoke else 1.0
        self.passed = 0
        self.failed = 0

    def title(self, text):
        print(f"\n{text}\n{'figure':<58} {'measured':>10} {'target':>10}", flush=True)

    def time(self, name, value, target, unit=""):
        """A figure that depends on how busy the machine is. `target` is ("<=", n) or (">=", n)."""
        self._row(name, value, target, unit, self.judges_times, 1.0)

    def size(self, name, value, target, unit=""):
        """A figure that does not, and shall not be above its target."""
        self._row(name, value, target, unit, True, self.slack)

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

    def _row(self, name, value, target, unit, is_judged, slack):
        relation, limit = target
        is_met = value <= limit if relation == "<=" else value >= limit
        is_tolerated = not is_judged or value <= limit * slack
        self._count(is_met or is_tolerated)
        verdict = "ok" if is_met else "(tolerated)" if is_judged and is_tolerated else "MISSED" if is_judged else "(not judged)"
        print(f"{name:<58} {value:>10.2f} {relation + ' ' + str(limit):>10}  {verdict} {unit}".rstrip(), flush=True)

    def _count(self, is_met):
        if is_met:
            self.passed += 1
        else:
            self.failed += 1
