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
