"""The colours that several pictures share.

Blue and vermilion are of Okabe and Ito's palette, made for all kinds of colour vision.
"""

BLUE = "#0072B2"
VERMILION = "#D55E00"
BLACK = "#1A1A1A"
GREY = "#A6A6A6"
PALE_GREY = "#E3E3E3"
LINE_GREY = "#CCCCCC"
