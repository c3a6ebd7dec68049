"""Text from outside, made fit for a terminal: a file's, a server's or a person's own."""


def printable(text: object, limit: int = 120) -> str:
    """Return `text` as one line without control characters, of at most about `limit` characters.

    Line breaks, escape sequences, marks that reverse the order of letters and undecodable bytes
    appear as Python writes them in a string (`\\n`, `\\x1b`). The end of a longer text is replaced
    by its length.
    """
    whole = str(text)
    line = "".join(
        one if one.isprintable() else ascii(one).strip("'\"") for one in whole[: limit + 1]
    )
    return line if len(whole) <= limit else f"{line[:limit]}... ({len(whole):,} characters)"


def size_text(count: int) -> str:
    """Return a number of bytes in the unit that fits: "812 B", "96 kB", "12.4 MB", "3.1 GB"."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 0.9995 * 10**power:  # else it would be shown as 1000 of the next unit
            number = count / 10**power
            return f"{number:.0f} {unit}" if unit == "kB" else f"{number:.1f} {unit}"
    return f"{count} B"
