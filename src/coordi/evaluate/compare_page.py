"""A comparison of two runs as one HTML file, in the look of the report."""

from __future__ import annotations

from coordi.evaluate.compare import Comparison
from coordi.evaluate.page import environment, style


def render_comparison(comparison: Comparison) -> str:
    """The page as text; nothing is fetched and nothing runs."""
    return (
        environment()
        .get_template("compare.html")
        .render(
            comparison=comparison,
            names=run_names(comparison),
            headline=headline(comparison),
            style=style(),
        )
    )


def run_names(comparison: Comparison) -> tuple[str, str]:
    """What the two are called: their folders' names, or their whole paths where those are the same."""
    one, other = comparison.one, comparison.other
    return (one.name, other.name) if one.name != other.name else (str(one.place), str(other.place))


def headline(comparison: Comparison) -> str:
    """How the second run's model stands to the first's, in a sentence."""
    one, other = run_names(comparison)
    standings = [row.standing for row in comparison.models]
    counts = {
        f"ahead of {one} in": standings.count("ahead"),
        "behind in": standings.count("behind"),
        "not told apart in": standings.count("not told apart"),
    }
    tested = sum(counts.values())
    untested = len(standings) - tested
    if not tested:
        return f"There is no test between {one} and {other}: they weren’t asked the same questions."
    told = ", ".join(f"{words} {count}" for words, count in counts.items() if count)
    rest = f" {untested} more can’t be compared." if untested else ""
    return f"Of {tested} figure{'s' if tested > 1 else ''} on the same questions, {other} is {told}.{rest}"
