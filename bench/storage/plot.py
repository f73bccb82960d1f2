"""plot.py: a small line chart as SVG: what bench/storage/run draws its curves with."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 190, 46, 56
COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#9a6700"]


def nice_top(value):
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below the value."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if power * step >= value)


def text(x, y, words, anchor="middle", size=12, extra=""):
    words = str(words).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {extra}>{words}</text>'


def line_chart(title, x_label, y_label, x_names, series):
    """series: name -> values, one for each of x_names (None: no point). The x axis is by rank."""
    top = nice_top(max(value for values in series.values() for value in values if value is not None))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(index, value):
        x = LEFT + (wide * index / (len(x_names) - 1) if len(x_names) > 1 else wide / 2)
        return x, TOP + high * (1 - value / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" fill="#24292f">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(LEFT, 24, title, "start", 15)]
    for step in range(6):
        value = top * step / 5
        y = at(0, value)[1]
        out.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        out.append(text(LEFT - 8, y + 4, f"{value:g}", "end"))
    for index, name in enumerate(x_names):
        out.append(text(at(index, 0)[0], TOP + high + 18, name))
    out.append(text(LEFT + wide / 2, HEIGHT - 14, x_label))
    middle = TOP + high / 2
    out.append(text(18, middle, y_label, extra=f'transform="rotate(-90 18 {middle:.1f})"'))
    for number, (name, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [at(index, value) for index, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        legend = TOP + 12 + 20 * number
        out.append(f'<rect x="{LEFT + wide + 16}" y="{legend - 9}" width="12" height="12" fill="{colour}"/>')
        out.append(text(LEFT + wide + 34, legend + 1, name, "start"))
    return "\n".join(out + ["</svg>", ""])
