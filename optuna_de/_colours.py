"""Colours that drawings and plots share.

Okabe and Ito (2008): safe for the colour-blind. INK has a contrast of 4.5 on white and on black,
so that a picture can be read in print and in dark mode.
"""

INK = "#777777"
CLASSES = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"),
    *(INK, "#F0E442"),
)
