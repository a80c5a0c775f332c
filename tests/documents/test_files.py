"""Documents as files: safe names, right types, and no formulas in tables."""

import csv
import io
import time

import pytest

from chat.documents.files import escape_formulas, make_file


@pytest.mark.parametrize(
    ("title", "kind", "language", "name", "media"),
    [
        ("Plan", "markdown", "", "Plan.md", "text/markdown; charset=utf-8"),
        ("notes.md", "markdown", "", "notes.md", "text/markdown; charset=utf-8"),
        ("Überblick 😀", "csv", "", "Überblick 😀.csv", "text/csv; charset=utf-8"),
        ("main", "code", "Python", "main.py", "text/plain; charset=utf-8"),
        ("main.py", "code", "python", "main.py", "text/plain; charset=utf-8"),
        ("main", "code", "brainfuck", "main.txt", "text/plain; charset=utf-8"),
        ("page", "html", "", "page.html", "text/html; charset=utf-8"),
        ("sun", "svg", "", "sun.svg", "image/svg+xml; charset=utf-8"),
        ("flow", "mermaid", "", "flow.mmd", "text/plain; charset=utf-8"),
        ("../../etc/passwd", "code", "", "etc passwd.txt", "text/plain; charset=utf-8"),
        ('a\n"b"\\c:*', "markdown", "", "a b c.md", "text/markdown; charset=utf-8"),
        ("report\u202efdp.exe", "markdown", "", "report fdp.exe.md", "text/markdown; charset=utf-8"),
        ("...", "markdown", "", "document.md", "text/markdown; charset=utf-8"),
        ("x" * 200, "markdown", "", "x" * 150 + ".md", "text/markdown; charset=utf-8"),
    ],
)
def test_a_file_has_a_name_and_a_type(title: str, kind: str, language: str, name: str, media: str) -> None:
    file = make_file(title, kind, language, "=1")
    assert (file.name, file.type) == (name, media)
    assert file.content == (b"'=1" if kind == "csv" else b"=1")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a,b\n1,2\n", "a,b\n1,2\n"),
        ("=1+1,b", "'=1+1,b"),
        ("a,@SUM(A1)\n+cmd|' /C calc'!A0,-x", "a,'@SUM(A1)\n'+cmd|' /C calc'!A0,'-x"),
        ("-1,+2.5,-1.000,-3 %", "-1,+2.5,-1.000,-3 %"),
        ('"=1","-2"', '"\'=1","-2"'),
        ("a; =1", "a; '=1"),
        ("a\t=1", "a\t'=1"),
        ("\uff1d1", "'\uff1d1"),
        ('"a\n=b"', '"a\n=b"'),  # the second line of a cell
        ('x,"a\n=b"', 'x,"a\n\'=b"'),  # for semicolons, the quote begins no cell
        ('a;"b,=1', "a;\"b,'=1"),  # for commas, neither does this one
        ('"a""b",=1', '"a""b",\'=1'),
        ("", ""),
        ("=", "'="),
    ],
)
def test_cells_that_begin_like_formulas_are_escaped(text: str, escaped: str) -> None:
    assert escape_formulas(text) == escaped


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_reader_finds_a_formula(delimiter: str) -> None:
    hostile = 'a,"b;=1\n=2";"c,=3",\t=4\n"=5",""=6"",x"=7",\'=8\n"=9'
    rows = csv.reader(io.StringIO(escape_formulas(hostile)), delimiter=delimiter)
    assert not [cell for row in rows for cell in row if cell.lstrip(' \t"').startswith("=")]


@pytest.mark.parametrize("text", ['"' * 500_000, "," * 500_000, '"a' * 250_000, "=," * 250_000, " " * 500_000 + "="])
def test_a_hostile_table_takes_bounded_time(text: str) -> None:
    began = time.process_time()
    escape_formulas(text)
    assert time.process_time() - began < 5
