"""Text from outside is one harmless line on the terminal."""

import pytest

from pipeline.common.text import printable, size_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('it\'s a "é" 中', 'it\'s a "é" 中'),
        ("\x1b[31mred\nline\t\r\0", "\\x1b[31mred\\nline\\t\\r\\x00"),
        ("a\u202eb\u2028c\x9b", "a\\u202eb\\u2028c\\x9b"),
        ("bad \udc80 byte", "bad \\udc80 byte"),
        (7, "7"),
        ("x" * 120, "x" * 120),
        ("x" * 229_000, "x" * 120 + "... (229,000 characters)"),
    ],
)
def test_control_characters_are_escaped_and_long_texts_cut(text: object, expected: str) -> None:
    assert printable(text) == expected
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (95_600, "96 kB"),
        (999_600, "1.0 MB"),
        (12_399_999, "12.4 MB"),
        (999_400_000, "999.4 MB"),
        (3_100_000_000, "3.1 GB"),
    ],
)
def test_a_size_has_the_unit_that_fits(count: int, expected: str) -> None:
    assert size_text(count) == expected
