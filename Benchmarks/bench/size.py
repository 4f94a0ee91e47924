"""The stripped daemon beside an empty async program that was built and stripped in the same way."""


def measure(machine, table, is_smoke):
    daemon = machine.daemon.stat().st_size / 1e6
    empty = (machine.programs / "empty-stripped").stat().st_size / 1e6
    table.title("Size of the stripped daemon, in MB")
    table.note("an empty async program", f"{empty:.2f}")
    table.note("vfiogroupd", f"{daemon:.2f}")
    table.size("difference", daemon - empty, ("<=", 5))
