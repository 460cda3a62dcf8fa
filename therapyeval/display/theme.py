"""How everything looks: colors that stay apart in print and for color-blind readers, styles for pages and figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PAPER = "#ffffff"
INK = "#1a2730"
ACCENT = "#0b5878"
QUIET = "#55626b"
RULE = "#c8d0d5"
TINT = "#f2f5f7"
ALERT_INK = "#5c3700"
ALERT_RULE = "#b35c00"
ALERT_PAPER = "#fff6e6"
NEUTRAL = "#5d4a86"
SHADES = (TINT, "#d5e4eb", "#a3c5d4", "#2f7391", "#083d54")  # from complete to incomplete; the last two carry PAPER
LIGHTS = {"green": "#1f6b3a", "amber": "#8a5a00", "red": "#a3231f", "none": QUIET}
TEXT_ON = ((INK, PAPER), (ACCENT, PAPER), (QUIET, PAPER), (INK, TINT), (QUIET, TINT), (ALERT_INK, ALERT_PAPER),
           *((PAPER, color) for color in LIGHTS.values()), *((INK, shade) for shade in SHADES[:3]),
           *((PAPER, shade) for shade in SHADES[3:]))
FONTS = ("Arial", "Helvetica", "Liberation Sans")
_LIGHT_RULES = "\n".join(
    f".te-section .te-{name} {{ border-color: {color}; }} .te-section .te-{name} strong {{ background: {color}; }}"
    for name, color in LIGHTS.items())

CSS = f"""
.te-section {{ color: {INK}; background: {PAPER}; line-height: 1.5; max-width: 60rem; margin: 0 0 2.5rem; }}
.te-section h1 {{ font-size: 1.75rem; line-height: 1.2; font-weight: 650; margin: 0 0 .75rem; text-wrap: balance; }}
.te-section h2 {{ font-size: 1.3rem; line-height: 1.25; font-weight: 650; margin: 0 0 .75rem; padding-top: .9rem;
  border-top: 2px solid {INK}; }}
.te-section h3 {{ font-size: 1.05rem; line-height: 1.3; font-weight: 650; margin: 1.4rem 0 .4rem; }}
.te-section h1 .te-kind {{ display: block; margin-top: .3rem; font-size: 1rem; font-weight: 400; color: {QUIET}; }}
.te-section p, .te-section ul, .te-section dl {{ max-width: 42rem; margin: 0 0 .9rem; }}
.te-section ul {{ padding-left: 1.2rem; }}
.te-section li {{ margin: .25rem 0; }}
.te-section .te-lead {{ font-size: 1.1rem; line-height: 1.5; margin-bottom: .6rem; }}
.te-section .te-note {{ color: {QUIET}; font-size: .9rem; }}
.te-section .te-warning {{ color: {ALERT_INK}; background: {ALERT_PAPER}; border-left: 4px solid {ALERT_RULE};
  padding: .6rem .9rem; margin: 0 0 1.1rem; max-width: 42rem; box-sizing: border-box; }}
.te-section .te-warning p, .te-section .te-warning ul {{ margin: 0; }}
.te-section .te-light {{ padding-left: .8rem; border-left: 4px solid {QUIET}; }}
.te-section .te-light strong {{ padding: .05rem .5rem; margin-right: .3rem; color: {PAPER}; background: {QUIET};
  font-weight: 600; font-size: .9em; border-radius: .2rem; print-color-adjust: exact; }}
{_LIGHT_RULES}
.te-section dl {{ display: grid; grid-template-columns: minmax(8rem, 13rem) 1fr; gap: .45rem 1.2rem; }}
.te-section dt {{ font-weight: 600; }}
.te-section dd {{ margin: 0; overflow-wrap: anywhere; }}
.te-section dd .te-note {{ display: block; margin: .1rem 0 0; }}
.te-section .te-table {{ margin: 1.4rem 0 1.8rem; }}
.te-section .te-caption {{ max-width: 48rem; margin: 0 0 .5rem; font-weight: 600; }}
.te-section .te-caption span {{ font-weight: 400; color: {QUIET}; }}
.te-section .te-scroll {{ overflow-x: auto; }}
.te-section .te-scroll > div {{ padding: 0 !important; overflow: visible !important; }}
.te-section .te-scroll table {{ border-collapse: collapse; min-width: 60%; margin: 0; font-size: .92rem;
  line-height: 1.4; color: {INK}; background: {PAPER}; border: 0; border-top: 2px solid {INK};
  border-bottom: 2px solid {INK};
  font-variant-numeric: tabular-nums lining-nums; }}
.te-section .te-scroll tr, .te-section .te-scroll tr:hover {{ background: {PAPER}; }}
.te-section .te-scroll th, .te-section .te-scroll td {{ padding: .38rem .65rem; border: 0; text-align: right;
  vertical-align: top; font-weight: 400; white-space: nowrap; }}
.te-section .te-scroll thead th {{ border-bottom: 1px solid {INK}; vertical-align: bottom; font-weight: 600;
  white-space: normal; min-width: 6rem; }}
.te-section [id^="te-grid"] thead th:not(:first-child) {{ min-width: 3.4rem; }}
.te-section .te-scroll tbody tr + tr > * {{ border-top: 1px solid {RULE}; }}
.te-section .te-scroll tr > :first-child {{ text-align: left; padding-left: 0; white-space: normal; min-width: 13rem;
  max-width: 24rem; position: sticky; left: 0; background: {PAPER}; }}
.te-section .te-scroll tr > :last-child:not(:first-child) {{ padding-right: 0; }}
.te-section .te-scroll td.gt_left {{ text-align: left; white-space: normal; min-width: 11rem; }}
.te-section .te-scroll th.gt_col_heading.gt_left {{ text-align: left; }}
.te-section .te-scroll .gt_group_heading_row > * {{ font-weight: 600; padding-top: .8rem; max-width: none; }}
.te-section .te-scroll tbody tr + tr.gt_group_heading_row > * {{ border-top: 1px solid {INK}; }}
.te-section .te-scroll .te-below {{ display: block; color: {QUIET}; font-size: .92em; }}
.te-section .te-scroll .te-step {{ display: block; padding-left: 1.1em; }}
.te-section .te-scroll .te-quiet {{ color: {QUIET}; }}
.te-section .te-scroll .te-withheld {{ color: {QUIET}; font-style: italic; }}
.te-section sup {{ font-size: .72em; line-height: 0; padding-left: .1em; }}
.te-section .te-notes {{ max-width: 48rem; margin: .5rem 0 0; color: {QUIET}; font-size: .85rem; line-height: 1.45; }}
.te-section .te-notes p {{ max-width: none; margin: 0 0 .15rem; }}
.te-section .te-figure {{ margin: 1.4rem 0 1.8rem; max-width: 35rem; }}
.te-section .te-figure img {{ display: block; width: 100%; height: auto; }}
.te-section .te-figure figcaption {{ margin-top: .5rem; color: {QUIET}; font-size: .85rem; line-height: 1.45; }}
@media (max-width: 600px) {{
  .te-section .te-lead {{ font-size: 1.03rem; }}
  .te-section .te-scroll table {{ font-size: .8rem; min-width: 100%; }}
  .te-section .te-scroll th, .te-section .te-scroll td {{ padding: .34rem .2rem; white-space: normal; }}
  .te-section .te-scroll tr > :first-child {{ min-width: 4.6rem; max-width: 9.5rem; }}
  .te-section .te-scroll thead th {{ min-width: 0; }}
  .te-section .te-scroll td.gt_left {{ min-width: 5.5rem; }}
  .te-section dl {{ display: block; }}
  .te-section dd {{ margin: 0 0 .7rem; }}
}}
@media print {{
  .te-section {{ max-width: none; font-size: 9pt; }}
  .te-section p, .te-section ul, .te-section dl, .te-section .te-notes {{ max-width: none; }}
  .te-section h1, .te-section h2, .te-section h3, .te-section .te-caption {{ break-after: avoid; }}
  .te-section .te-figure, .te-section tr, .te-section .te-warning {{ break-inside: avoid; }}
  .te-section .te-lead {{ font-size: 10pt; }}
  .te-section .te-note, .te-section .te-notes, .te-section figcaption {{ font-size: 8pt; }}
  .te-section .te-scroll {{ overflow: visible; }}
  .te-section .te-scroll table {{ font-size: 8.5pt; }}
  .te-section .te-scroll tr > :first-child {{ position: static; }}
  .te-section .te-scroll thead {{ display: table-header-group; }}
  .te-section .te-figure {{ max-width: none; }}
  .te-section .te-warning {{ background: {PAPER}; border: 1px solid {ALERT_RULE}; border-left-width: 4px; }}
}}
"""
STYLE = f"<style>{CSS}</style>"


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib settings for one figure: no mathematics in labels, the same bytes for the same drawing."""
    import matplotlib
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    fonts = [name for name in FONTS if name in known][:1] + ["DejaVu Sans"]
    settings = {
        "font.family": "sans-serif", "font.sans-serif": fonts, "font.size": 10.5, "text.color": INK,
        "text.parse_math": False, "axes.unicode_minus": True, "axes.edgecolor": QUIET, "axes.labelcolor": INK,
        "axes.linewidth": 0.8, "xtick.color": QUIET, "xtick.labelcolor": INK, "xtick.labelsize": 9.5,
        "figure.facecolor": PAPER, "axes.facecolor": PAPER, "svg.hashsalt": "therapyeval", "svg.fonttype": "path",
    }
    with matplotlib.rc_context(settings):
        yield
