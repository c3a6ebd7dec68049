"""Strategies that several subjects share: small changes of bytes, and odd values."""

from collections.abc import Sequence

from hypothesis import strategies as st

Edit = tuple[str, int, bytes]
"""What is done, where in millionths of the length, and with which bytes."""

_MILLION = 1_000_000

NOISE = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"\0", b'"', b"\r", b"\n", b",", b";", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m"]
    ),
)

EDITS: st.SearchStrategy[Sequence[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut", "repeat"]),
        st.integers(0, _MILLION),
        NOISE,
    ),
    max_size=3,
)


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """Return `content` with the edits made one after another."""
    for kind, millionth, noise in edits:
        at = len(content) * millionth // _MILLION
        if kind == "replace":
            content = content[:at] + noise + content[at + len(noise) :]
        elif kind == "insert":
            content = content[:at] + noise + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + len(noise) :]
        elif kind == "cut":
            content = content[:at]
        else:
            content = content[:at] + content[at // 2 :]
    return content


class LongText(str):
    """A text longer than the csv module's limit of a cell, whose report stays short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{self[:1]!r} * {len(self)}"


ODD_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "\x1b[2J",
            "<script>alert(1)</script>",
            "../../x",
            "=cmd()",
            "a\nb",
            "\0",
            "NaN",
            LongText("x" * 140_000),
        ]
    ),
)

ODD_NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([-1, 0, 10**9, 10**30, 1e308, float("nan"), float("inf")]),
)

ODD_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=5,
)
"""Values that JSON or TOML can hold where others belong."""
