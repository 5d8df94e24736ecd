"""Repeated measurements and the table of their ratios."""

import statistics


class Series:
    """The same thing measured in several rounds."""

    def __init__(self, values):
        self.values = list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    def spread(self, form):
        return f"{form % min(self.values)} to {form % max(self.values)}"

    def pairwise(self, other, function):
        """Round by round, since what disturbs a round disturbs its neighbours."""
        return Series(function(a, b) for a, b in zip(self.values, other.values, strict=True))

    def over(self, other):
        return self.pairwise(other, lambda a, b: a / b)

    def minus(self, other):
        return self.pairwise(other, lambda a, b: a - b)


class Target:
    """A figure of the design; a measurement meets it or not."""

    def __init__(self, words, least=None, most=None):
        self.words = words
        self.least = least
        self.most = most

    def verdict(self, value, judge):
        if not judge:
            return self.words
        good = (self.least is None or value >= self.least) and \
               (self.most is None or value <= self.most)
        return f"{self.words}: {'met' if good else 'MISSED'}"


class Table:
    """Rows of: what, against what, median, min to max, target."""

    HEADS = ("measured", "against", "median", "min to max", "target")

    def __init__(self, judge):
        self.rows = []
        self.judge = judge      # say whether targets are met

    def add(self, what, against, series, form="%.2f", target=None):
        self.rows.append((what, against, form % series.median, series.spread(form),
                          target.verdict(series.median, self.judge) if target else ""))

    def section(self, title):
        self.rows.append((title,))

    def print(self):
        full = [row for row in self.rows if len(row) > 1] + [self.HEADS]
        widths = [max(len(row[i]) for row in full) for i in range(len(self.HEADS))]
        for row in [self.HEADS, *self.rows]:
            if len(row) == 1:
                print(f"\n{row[0]}")
            else:
                print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
