# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A picture in text of a file that crossed twice: bars for each of the two sets of rules."""

WIDTH = 44
TITLES = {"delay": "page-fault delay", "rnr": "dropped, not ready"}
ROWS = (("frames sent", "frames_sent", "{:,}"), ("sent again", "frames_again", "{:,}"),
        ("waits", None, "{:,}"), ("seconds", "seconds", "{:.2f}"))


def waits(crossing):
    """How often the sender was made to wait for a page."""
    return crossing["delays"] + crossing["not_ready"]


def bar(value, most):
    """As long as its share of the longest; anything but 0 can be seen."""
    cells = round(WIDTH * value / most) if most else 0
    return "█" * (max(cells, 1) if value else 0)


def draw(report):
    """The picture, as one string."""
    crossings = {name: report[name] for name in TITLES}
    lines = []
    for title, key, form in ROWS:
        values = {name: crossing[key] if key else waits(crossing)
                  for name, crossing in crossings.items()}
        lines.append(f"  {title}")
        lines += [f"    {TITLES[name]:20} {bar(value, max(values.values())):{WIDTH}} "
                  f"{form.format(value)}" for name, value in values.items()]
    first = crossings["delay"]
    same = all(c["sha256_equal"] for c in crossings.values())
    lines += ["", f"  file    {first['bytes']:,} B; {first['faults']:,} pages were not there when "
                  "their bytes came",
              f"  loss    {report['loss']:.0%} of all frames, both ways; "
              f"{first['frames_lost']:,} and {crossings['rnr']['frames_lost']:,} frames",
              f"  sha256  {first['sha256']} ({'equal' if same else 'DIFFERENT'} at all ends)"]
    return "\n".join(lines)
