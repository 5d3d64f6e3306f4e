"""Two sessions that really took place (TraceLab, uw-syfi/TraceLab, example_sessions; CC BY 4.0): Claude Code and Codex.

Of each call of the model: tokens that were added to the prompt, and tokens that were answered.
"""

Turn = tuple[int, int]

CLAUDE: tuple[Turn, ...] = (
    *((32_272, 931), (3468, 1016), (2852, 2475), (2539, 117), (458, 1275)),
    *((1287, 273), (2025, 232), (378, 2162), (2229, 90), (797, 852)),
)
CODEX: tuple[Turn, ...] = (
    *((9324, 444), (593, 94), (141, 59), (94, 233), (320, 294), (0, 262)),
    *((1200, 198), (91, 279), (370, 49)),
)
