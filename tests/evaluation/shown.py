"""A small report whose names try to break out of their cells."""

from pinrank.evaluation.comparison import HEADINGS, Contrast, Facts, Figure, Gain, Report, Section

EVIL = '<script>"a|b"</script>'


def small_report() -> Report:
    """Two rows, one of them with a name that is no friend of HTML or Markdown; a contrast to each and a baseline."""
    good = Figure(0.75, (0.7, 0.8))
    figures = {
        "first": dict.fromkeys(HEADINGS, good),
        EVIL: {**dict.fromkeys(HEADINGS, Figure(0.5, (0.45, 0.55))), "qwk": Figure(None, (None, None))},
    }
    worse, unsure = Gain(-0.25, (-0.3, -0.2), 0.0), Gain(0.01, (-0.02, 0.04), 0.7)
    sure = {**dict.fromkeys(HEADINGS, worse), "qwk": Gain(None, (None, None), None), "spearman": unsure}
    return Report(
        title=f"Compared & {EVIL}",
        sections=(
            Section(
                "overall",
                1200,
                30,
                figures,
                (
                    Contrast("Against the first row", {EVIL: "first"}, {EVIL: sure}),
                    Contrast("Gain over", {EVIL: "first", "first": EVIL}, {EVIL: sure, "first": sure}),
                ),
                with_facts=True,
            ),
            Section("shop|<b>", 10, 2, figures, (), with_facts=False),
        ),
        facts={"first": Facts("first@12345678", 2000, 22_713_221, 123.456, 0.2254)},
        notes=(f"a note on {EVIL}",),
        filled={"trained on": {"title": 0.5, "caption": 0.0}, "measured on dev": {"title": 1.0, "caption": 0.0}},
    )
