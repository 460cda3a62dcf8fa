"""Missing scores in a review: the responders under every rule for them, and who has no score."""

from __future__ import annotations

from therapyeval.display import missing_panel, result_tables
from therapyeval.display.blocks import Block, Heading, Paragraph
from therapyeval.review.material import RESPONDERS, Material

WITHOUT_TARGET = ("No target was given for the responders, so no rule has a verdict: compare the numbers with each "
                  "other.")


def what_the_missing_could_change(material: Material) -> list[Block]:
    """The panel of missing scores, with the rules that read differently marked, then completers beside the others."""
    panel, both = (material.result("effectiveness", table) for table in ("missing scores", "completers"))
    blocks: list[Block] = []
    if panel is not None:
        whom = material.whom("Eligible episodes that ended")
        said = missing_panel.panel_sentence(panel) if RESPONDERS in material.part("targets") else WITHOUT_TARGET
        figure = missing_panel.panel_figure(panel, material.labels, f"{whom} {material.thresholds}")
        blocks += [Heading("What the missing scores could change"), *([Paragraph(said)] if said else []),
                   missing_panel.panel_table(panel, material.labels, whom), *([figure] if figure else [])]
    if both is not None:
        blocks.append(result_tables.baseline_table(
            both, material.labels, material.whom("Eligible episodes that ended"), flag=False, key="completers",
            caption="Episodes with both scores of their primary measure beside those without."))
    return blocks
