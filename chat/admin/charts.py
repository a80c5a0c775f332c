"""Charts as SVG, made here: no library, no script, no inline style. Colours are classes of admin.css."""

from collections.abc import Sequence
from functools import lru_cache

from django.utils.formats import number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from msgspec import Struct

from ..i18n import cost_digits

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 160, 54, 20, 10
COLOURS = 6
"""How many classes of colours there are: `nous-c0` and so on. Further series are one."""

BAR = '<rect class="nous-c{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
DOT = '<circle class="nous-c{}" cx="{}" cy="{}" r="2.5"><title>{}</title></circle>'
LINE = '<polyline class="nous-c{}" points="{}"/>'
GRID = '<line class="nous-grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>'
TIME = '<text x="{}" y="{}" text-anchor="{}">{}</text>'
NAME = '<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="nous-c{}" width="10" height="10"/></svg> {} '
FRAME = (
    "<figure><figcaption>{} {}</figcaption>"
    '<svg class="nous-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg></figure>'
)


class Series(Struct, frozen=True):
    """A name, and a value for each bucket of time; None if there is none."""

    name: str
    values: Sequence[float | None]


class Chart(Struct, frozen=True):
    title: str
    buckets: Sequence[str]
    """The labels of the times."""
    series: Sequence[Series]
    unit: str = ""
    digits: int = 0
    named: bool = False
    """Whether it names its series itself, because they are not those of the other charts."""

    def stacked(self) -> SafeString:
        """Bars, of which each series is a part: for sums."""
        columns = list(zip(*(series.values for series in self.series), strict=True))
        most = max((sum(value or 0 for value in column) for column in columns), default=0) or 1
        bars = []
        for place, column in enumerate(columns):
            below = 0.0
            for number, value in enumerate(column):
                if value:
                    top, bottom = self._y(below + value, most), self._y(below, most)
                    x, width = _point(self._x(place + 0.1)), _point(self._step * 0.8)
                    height = _point(max(bottom - top, 0.5))
                    tip = self._tip(place, number, value)
                    bars.append(BAR.format(number % COLOURS, x, _point(top), width, height, tip))
                    below += value
        return self._frame(bars, most)

    def lines(self) -> SafeString:
        """A line for each series: for averages. Nothing if no value is known."""
        known = [value for series in self.series for value in series.values if value is not None]
        if not known:
            return SafeString()
        most = max(known) or 1
        drawn: list[str] = []
        for number, series in enumerate(self.series):
            colour, points, dots = number % COLOURS, [], []
            for place, value in enumerate(series.values):
                if value is not None:
                    x, y = _point(self._x(place + 0.5)), _point(self._y(value, most))
                    points.append(f"{x},{y}")
                    dots.append(DOT.format(colour, x, y, self._tip(place, number, value)))
            drawn += [LINE.format(colour, " ".join(points)), *dots]
        return self._frame(drawn, most)

    @property
    def _step(self) -> float:
        return (WIDTH - LEFT) / max(len(self.buckets), 1)

    def _x(self, place: float) -> float:
        return LEFT + place * self._step

    def _y(self, value: float, most: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most)

    def _tip(self, place: int, number: int, value: float) -> str:
        """What a mark says, escaped: a chart has thousands, and `format_html` would escape their coordinates, too."""
        digits = max(self.digits, cost_digits(value)) if self.digits else 0
        shown = _shown(round(value, digits), digits, get_language())
        return escape(f"{self.buckets[place]}, {self.series[number].name}: {shown}{self.unit}")

    def _frame(self, drawn: Sequence[str], most: float) -> SafeString:
        marks = [(value, _point(self._y(value, most))) for value in (0, most / 2, most)]
        axis = format_html_join("", GRID, ((LEFT, WIDTH, y, y, LEFT - 6, y, _short(value)) for value, y in marks))
        ends = [(0, LEFT, "start"), (len(self.buckets) - 1, WIDTH, "end")] if self.buckets else []
        times = format_html_join("", TIME, ((x, HEIGHT - 4, anchor, self.buckets[place]) for place, x, anchor in ends))
        names = [(number, series.name) for number, series in enumerate(self.series) if self.named]
        content = mark_safe("".join(drawn))  # noqa: S308  numbers, and tips that are escaped
        return format_html(
            FRAME, self.title, format_html_join("", NAME, names), WIDTH, HEIGHT, self.title, axis, times, content
        )


@lru_cache(maxsize=4096)
def _shown(value: float, digits: int, language: str | None) -> str:
    """A number in the current language. Django takes 20 microseconds for each, and most occur again."""
    return number_format(value, digits, force_grouping=True)


def _point(value: float) -> str:
    """A coordinate: with a point in every language."""
    return f"{value:.1f}"


def _short(value: float) -> str:
    """A number for an axis: 1200000 as 1.2 M."""
    for size, letter in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if value >= size:
            return f"{number_format(value / size, 1)}{letter}"
    return number_format(value, 0 if value == int(value) else cost_digits(value))
