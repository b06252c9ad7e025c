"""What goes wrong with files, each kind with the sentence it must get; and files that are written unusually and are good.

The table of bad files that tests/flow/test_files.py drops, all at once, into the drop directories of SECTIONS. To add a kind,
add a line to BAD. Files are made here, as their senders' programs would make them.
"""
import gzip
import io
import struct
import zipfile
from dataclasses import dataclass, field

COLUMNS = ["ClaimID", "PatientID", "ServiceDate", "ClaimDate", "ClaimAmount", "PaidAmount", "ClaimStatus", "ModifiedDate"]
SECRET = "Zebulon-4711"  # stands in every bad file, and in no sentence
PLACES = [(1, 14), (15, 14), (29, 10), (39, 10), (49, 12), (61, 12), (73, 10), (83, 10)]

# Drop directories: what their configuration says besides the map.
SECTIONS = {
    "csv": "",
    "detect": "format: detect",
    "tsv": "format: tsv",
    "semicolon": "format: semicolon",
    "pipe": "format: pipe",
    "tilde": 'delimiter: "~"',
    "backslash": "quote: backslash",
    "unquoted": "quote: none",
    "fixed": "format: fixed\n    columns: [" + ", ".join(
        f"{{name: {name}, start: {start}, width: {width}}}" for name, (start, width) in zip(COLUMNS, PLACES)) + "]",
    "bare": f"format: detect\n    header: false\n    columns: [{', '.join(COLUMNS)}]",
    "renamed": f"header: true\n    columns: [{', '.join(COLUMNS)}]",
    "aliases": 'aliases: { ClaimID: [claim_no, "Claim Number"], PaidAmount: paid }',
    "utf8": "encoding: utf-8",
    "utf16": "encoding: utf-16",
    "utf16le": "encoding: utf-16le",
    "latin": "encoding: windows-1252",
    "comma": "format: semicolon\n    decimal: comma",
    "x12": "format: x12",
    "us": 'date_format: "MM/DD/YYYY"',
    "small": "max_line_bytes: 1KiB\n    max_field_bytes: 256\n    max_unpacked_bytes: 2MiB\n    max_unpacked_ratio: 20",
}


def row(claim, patient="P1", service="2024-01-10", amount="100.00", paid="80.00", status="Paid", modified="2024-03-01"):
    return [claim, patient, service, "2024-01-20", amount, paid, status, modified]


def lines(rows, delimiter=",", end="\n", header=COLUMNS):
    return end.join(delimiter.join(fields) for fields in [*([header] if header else []), *rows]) + end


def good_rows(n=3):
    return [row(f"{SECRET}-{i}", patient=SECRET) for i in range(n)]


TEXT = lines(good_rows())
PLAIN = TEXT.encode()


def within(first, rows, last):
    return [[first, *fields, last] for fields in rows]


def exchanged(fields):
    """What was claimed and what was paid."""
    return [*fields[:4], fields[5], fields[4], *fields[6:]]


def fixed_line(fields):
    return "".join(text[:width].ljust(width) for text, (_, width) in zip(fields, PLACES))


def many(n):
    """Rows that do not pack well."""
    return lines([row(f"{SECRET}-m{i * 7919 % 1000003}", patient=f"{SECRET}-{i * i % 999983}",
                      amount=f"{i * 31 % 9973}.{i % 90 + 10}") for i in range(n)]).encode()


def zip_of(*members, method=zipfile.ZIP_DEFLATED, **options):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            with archive.open(zipfile.ZipInfo(name), "w", **options) if options else _null() as file:
                if options:
                    file.write(content)
                else:
                    archive.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


class _null:
    def __enter__(self):
        return None

    def __exit__(self, *ignored):
        return False


def patched(content, magic, offset, value):
    """Bytes behind the last such record's start replaced."""
    at = content.rindex(magic) + offset
    return content[:at] + value + content[at + len(value):]


ENTRY, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
ZIPPED = zip_of(("claims.csv", PLAIN))
GZIPPED = gzip.compress(PLAIN, mtime=0)
MANY = gzip.compress(many(3000), mtime=0)


@dataclass
class Bad:
    name: str
    section: str
    content: bytes
    sentence: str = None    # of the file, whole; with its mend behind "; "
    state: str = "failed"
    held: list = field(default_factory=list)  # quarantined: (line, rule, reason)
    file: str = None        # its name, where that is what is wrong
    placed: int = 0         # claims it brings; None: not asked


def failed(name, content, sentence, section="csv", suffix=".csv", placed=0):
    content = content.encode() if isinstance(content, str) else content
    return Bad(name, section, content, sentence, file=f"a_{name}{suffix}", placed=placed)


def held(name, content, *rows, section="csv", sentence=None, placed=None):
    content = content.encode() if isinstance(content, str) else content
    return Bad(name, section, content, sentence, "done", list(rows), f"a_{name}.csv", placed)


AGAIN = "; send it again, whole"
REPACK = "; send it plain, as gzip or as zip"
SHEET = "; save its sheet as CSV and send that"
AS_CSV = "; send the rows as CSV"
OFFICE = "the file is a workbook or document of an office program, not a text of rows" + SHEET
CUT = "the file was cut: it ends in the middle of a line; send it again, whole"
ROUNDED = "the id was rounded, as spreadsheets do with long numbers; have its column written as text"
AGAIN_LINE = "the line is the header once more"
CUT_LINE = "the file ends in the middle of this line"
NO_HEADER = "line 1 is no header of claims.{section}: none of its columns stands there"
IN_FORMAT = "; send its rows in the `format` that is configured"
LIMIT = ", and was not unpacked; if the sender meant it, raise the limit, or have it sent in parts"
TWICE = "columns {} and {} of the header bear one name; name them apart where the file is made, or by `columns` with `header: true`"
NO_LINE_1 = "; mend line 1 where the file is made, or say how it is written (`format`, `quote`)"
BELOW = ("line 1 is no header of claims.csv: none of its columns stands there; they stand in line {}: have what is above them left out "
         "where the file is made")
JOINED = ("line {} is a header again, of other columns than the first or in another order, as in files that were joined; nothing is read "
          "from there on")
ALONE = "; send each of them by itself"
NAMED = "; name the columns by `columns`, if the files have no header"


def numbered(n, prefix):
    return [row(f"{prefix}{i}") for i in range(n)]


def joined(name, n, other):
    """n rows; behind them a header and rows that another one wrote."""
    return failed(name, lines(numbered(n, name)) + lines(map(other, good_rows()), header=other(COLUMNS)), JOINED.format(n + 2) + ALONE, placed=n)


def _damaged(kind, why):
    return f"the {kind} is damaged: {why}{AGAIN}"


FOREIGN = [
    ("bzip2", b"BZh91AY&SY", "packed by bzip2", REPACK), ("xz", b"\xfd7zXZ\0\0\4", "packed by xz", REPACK),
    ("zstd", b"\x28\xb5\x2f\xfd\4\0", "packed by zstd", REPACK), ("seven_zip", b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive", REPACK),
    ("rar", b"Rar!\x1a\7\1\0", "a rar archive", REPACK), ("pdf", b"%PDF-1.7\n", "a PDF", AS_CSV),
    ("xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook or document of an office program", SHEET),
    ("parquet", b"PAR1\x15\4", "a Parquet file", AS_CSV), ("rtf", rb"{\rtf1\ansi", "a text document (RTF)", AS_CSV),
    ("pgp", b"-----BEGIN PGP MESSAGE-----\n", "encrypted by PGP", "; send it decrypted, over a way that is safe"),
    ("elf", b"\x7fELF\2\1\1\0", "a program", AS_CSV), ("sqlite", b"SQLite format 3\0", "a SQLite database", AS_CSV),
]

PACKED = [
    failed("empty", b"", "the file is empty" + AGAIN),
    *(failed(name, start + SECRET.encode(), f"the file is {what}, not a text of rows{mend}") for name, start, what, mend in FOREIGN),
    failed("gzip_of_nothing", gzip.compress(b"", mtime=0), "the file has no header: it holds blank lines at most" + AGAIN),
    failed("gzip_cut_in_line_1", GZIPPED[:20], "the gzip file was cut within its first line" + AGAIN),
    failed("gzip_wrong_checksum", GZIPPED[:-8] + bytes([GZIPPED[-8] ^ 1]) + GZIPPED[-7:],
           _damaged("gzip file", "its checksum does not match")),
    failed("gzip_wrong_bytes", GZIPPED[:10] + b"\xff" + GZIPPED[11:], _damaged("gzip file", "its bytes do not unpack")),
    failed("gzip_with_a_tail", GZIPPED + b"rest", _damaged("gzip file", "other bytes follow behind its end")),
    failed("gzip_bomb", gzip.compress(PLAIN + b"0" * (1 << 24), mtime=0),
           "the file unpacks to more than 200 times its size (max_unpacked_ratio)" + LIMIT),
    failed("gzip_above_the_ratio", gzip.compress(PLAIN + b"0123456789\n" * 150000, mtime=0),
           "the file unpacks to more than 20 times its size (max_unpacked_ratio)" + LIMIT, "small"),
    failed("gzip_above_the_size", gzip.compress(many(24000), mtime=0),
           "the file unpacks to more than 2097152 bytes (max_unpacked_bytes)" + LIMIT, "small"),
    failed("gzip_in_gzip", gzip.compress(GZIPPED, mtime=0), "the file is packed twice; pack it once, as gzip or as zip"),
    failed("zip_cut", ZIPPED[:-30], f"the zip archive was cut: the directory at its end is missing{AGAIN}", suffix=".csv.zip"),
    failed("zip_of_nothing", zip_of(), "the zip archive is empty; pack the file into it, and send it again", suffix=".csv.zip"),
    failed("zip_of_two", zip_of(("a.csv", PLAIN), ("b.csv", PLAIN)),
           "the zip archive holds several files, and one is expected; send each file by itself", suffix=".csv.zip"),
    failed("zip_with_a_directory", zip_of(("claims/", b""), ("claims/a.csv", PLAIN)),
           "the zip archive holds a directory, and one file is expected; pack the file alone, or send it plain or as gzip"),
    failed("zip_encrypted", patched(patched(ZIPPED, ENTRY, 8, b"\1\0"), LOCAL, 6, b"\1\0"),
           "the zip archive is encrypted; send it without a password, over a way that is safe"),
    failed("zip_by_bzip2", zip_of(("a.csv", PLAIN), method=zipfile.ZIP_BZIP2), "the zip archive is packed by method 12, and only "
           "deflate and stored are known; pack it anew without special options, or as gzip"),
    failed("zip_wrong_checksum", patched(ZIPPED, ENTRY, 16, b"\0\0\0\0"), _damaged("zip archive", "its checksum does not match")),
    failed("zip_wrong_size", patched(ZIPPED, ENTRY, 24, b"\1\0\0\0"),
           _damaged("zip archive", "it holds more or less than its directory says")),
    failed("zip_wrong_bytes", ZIPPED[:40] + b"\xff" + ZIPPED[41:], _damaged("zip archive", "its bytes do not unpack")),
    failed("zip_stored_sizes", patched(zip_of(("a.csv", PLAIN), method=zipfile.ZIP_STORED), ENTRY, 24, b"\1\0\0\0"),
           _damaged("zip archive", "the sizes in its directory contradict each other")),
    failed("zip_pointing_outside", patched(ZIPPED, ENTRY, 42, b"\xf0\xff\xff\x0f"),
           _damaged("zip archive", "its directory points beyond its end")),
    failed("zip_pointing_nowhere", patched(ZIPPED, ENTRY, 42, b"\5\0\0\0"), _damaged("zip archive", "its directory points at no file")),
    failed("zip_directory_of_noise", patched(ZIPPED, ENTRY, 0, b"XXXX"), _damaged("zip archive", "its directory cannot be read")),
    failed("zip_in_parts", patched(ZIPPED, END, 4, b"\3\0"),
           "the zip archive is one part of several; pack the file anew, into one archive"),
    failed("zip_bomb", zip_of(("a.csv", PLAIN + b"0" * (1 << 24))),
           "the file unpacks to more than 200 times its size (max_unpacked_ratio)" + LIMIT),
    failed("zip64_pointing_nowhere", patched(ZIPPED, END, 10, b"\xff\xff"), _damaged("zip archive", "its end record points at nothing")),
    failed("xlsx", zip_of(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")), OFFICE),
    failed("ods", zip_of(("mimetype", b"application/vnd.oasis"), ("content.xml", b"<x/>")), OFFICE),
]

NO_MARK = "the file is UTF-16 without a byte order mark, so the order of its bytes is not declared; say `encoding: utf-16{}`, or have it sent as UTF-8"
CONTRADICTION = "the file begins with the byte order mark of {}, and `encoding: {}` is configured; say `encoding: detect`, or have the file sent as declared"

ENCODED = [
    failed("utf16le_without_mark", TEXT.encode("utf-16-le"), NO_MARK.format("le")),
    failed("utf16be_without_mark", TEXT.encode("utf-16-be"), NO_MARK.format("be")),
    failed("utf32", TEXT.encode("utf-32"), "the file is UTF-32, which is not read; have it sent as UTF-8"),
    failed("ebcdic", TEXT.replace(" ", "").encode("cp500"),
           "the file is EBCDIC, or no text at all; have it sent as UTF-8, or as ASCII, by a transfer in text mode"),
    failed("utf16_where_utf8_is_declared", TEXT.encode("utf-16"), CONTRADICTION.format("utf-16le", "utf-8"), "utf8"),
    failed("mark_where_windows_1252_is_declared", TEXT.encode("utf-8-sig"), CONTRADICTION.format("utf-8", "windows-1252"), "latin"),
    failed("utf8_where_utf16_is_declared", PLAIN, "the file has no byte order mark, and `encoding: utf-16` is told by it; "
           "say `encoding: utf-16le` or `encoding: utf-16be`, or `detect`", "utf16"),
    failed("header_of_another_encoding", TEXT.replace("ClaimStatus", "Stat\u00e9").encode("latin-1"),
           "the header is not the text that `encoding` declares; say `encoding: detect`, or the encoding it is in", "utf8"),
]

HEADERS = [
    failed("blank_lines", "\n\r\n\n", "the file has no header: it holds blank lines at most" + AGAIN),
    failed("html", f"<!DOCTYPE html>\n<html><title>{SECRET}</title></html>\n", "the file is HTML or XML, not rows of fields" + IN_FORMAT),
    failed("xml", f"\ufeff<?xml version='1.0'?><claims>{SECRET}</claims>", "the file is HTML or XML, not rows of fields" + IN_FORMAT),
    failed("json", f'[{{"ClaimID": "{SECRET}"}}]\n', "the file is JSON, not rows of fields" + IN_FORMAT),
    failed("x12", f"ISA*00*          *00*          *ZZ*{SECRET}", "the file is X12, not rows of fields; X12 has a directory "
           "of its own, with `format: x12`"),
    failed("another_delimiter", TEXT.replace(",", ";"), NO_HEADER.format(section="csv") +
           "; a semicolon parts its fields: say so by `format`, or `format: detect`"),
    failed("a_delimiter_too_many", "one;two,three\n1;2,3\n", "what parts the fields of the file cannot be told: more than one character "
           "would; say it: `format: csv`, `tsv`, `semicolon` or `pipe`", "detect"),
    failed("no_header", lines(good_rows(), header=None), NO_HEADER.format(section="csv") + NAMED),
    failed("sep_line", "sep=,\n" + TEXT, BELOW.format(2)),
    failed("title_above", f"Claims of {SECRET}\n\n" + TEXT, BELOW.format(3)),
    failed("titles_of_another_width", f"Claims,,\n{SECRET},,\n,,\n" + TEXT.replace(",", ";"), BELOW.format(4).replace("csv", "detect"), "detect"),
    joined("joined_in_another_order", 3, lambda fields: fields[::-1]),
    joined("joined_with_fewer_columns", 3, lambda fields: [*fields[:4], *fields[5:]]),
    joined("joined_behind_pages", 4002, lambda fields: fields[::-1]),
    failed("joined_within_others", lines(within("x", numbered(3, "J"), "y"), header=["Facility", *COLUMNS, "Notes"])
           + lines(within("x", map(exchanged, good_rows()), "y"), header=["Hospital", *exchanged(COLUMNS), "Remarks"]), JOINED.format(5) + ALONE, placed=3),
    failed("column_by_two_names", lines([[*row("C2"), "x"]], header=["Claim Number", *COLUMNS[1:], "claim_no"]), "columns 1 and 9 of the header are "
           "both called as `ClaimID` may be; take the one that is not meant out of `aliases`, or call it otherwise where the file is made", "aliases"),
    failed("column_in_two_cases", lines([[*row("C3"), "x"]], header=[*COLUMNS[:4], "CLAIMAMOUNT", *COLUMNS[5:], "claimamount"]), "columns 5 and 9 of "
           "the header are both called as `ClaimAmount` may be; take the one that is not meant out of `aliases`, or call it otherwise where the file is made"),
    failed("one_column", "Remarks\nx\ny\n", NO_HEADER.format(section="detect") + NAMED, "detect"),
    failed("column_twice", lines([[*row("C1"), "x"]], header=[*COLUMNS, "PaidAmount"]), TWICE.format(6, 9)),
    failed("column_misspelt", TEXT.replace("PaidAmount", "PayedAmount"), "the source has no column `PaidAmount`, from which `paid_amount` is "
           "mapped, did you mean `PayedAmount`?; mend the name in the map, or take `paid_amount` out of it"),
    failed("column_missing", lines([r[:4] + r[5:] for r in good_rows()], header=COLUMNS[:4] + COLUMNS[5:]), "the source has no column "
           "`ClaimAmount`, from which `claim_amount` is mapped, did you mean `PaidAmount`?; mend the name in the map, or take `claim_amount` out of it"),
    failed("header_quote_open", '"ClaimID,PatientID\n' + SECRET, "the header cannot be read: a quoted field never ends" + NO_LINE_1),
    failed("header_quote_trailing", '"ClaimID"x,PatientID\n', "the header cannot be read: text follows a closing quote" + NO_LINE_1),
    failed("header_with_a_zero_byte", TEXT.replace("Status", "\0"), "the header cannot be read: the line holds a NUL byte" + NO_LINE_1),
    failed("header_too_long", ",".join(["x" * 200] * 8) + "\n", "the header cannot be read: the line is longer than max_line_bytes" + NO_LINE_1, "small"),
    failed("header_name_too_long", "x" * 300 + ",ClaimID\n", "the header cannot be read: a field is longer than max_field_bytes" + NO_LINE_1, "small"),
    failed("header_of_too_many", ",".join(str(i) for i in range(5000)) + "\n", "the header cannot be read: the line has more than 1593 fields" + NO_LINE_1),
    failed("fewer_columns_than_named", lines([["1", "2"]], header=["x", "y"]),
           "line 1 has 2 columns, and `columns` names 8; name the columns that the file has, in their order", "renamed"),
    Bad("name_of_nobody", "csv", PLAIN, "its name matches no pattern of claims.csv, so its source is not known; name it by one of them, "
        "or add a pattern to `from`", file="c_nobody.csv"),
    Bad("name_of_two", "csv", PLAIN, "its name matches two patterns of claims.csv, a_* and *_both_*, so its source is not known; name it so "
        "that one matches, or make the patterns narrower", file="a_both_.csv"),
]

EITHER = ("whether the dates of column `ServiceDate` have the month or the day first cannot be told from them, and nothing declares it; "
          'say `date_format: "MM/DD/YYYY"` or `date_format: "DD/MM/YYYY"`')
ONLY = ("the dates of column `ServiceDate` are not written as declared, and all first ones fit {0}; if the sender means that, "
        'say `date_format: "{0}"`')
DECIMAL = "the amounts of column `ClaimAmount` have a decimal {0}, and that is not declared; say `decimal: {0}`, or so in the column's `clean`"


def dated(*dates):
    return lines([row(f"{SECRET}-{i}", service=date) for i, date in enumerate(dates)])


def priced(*amounts, delimiter=",", ids=SECRET):
    return lines([row(f"{ids}-{i}", amount=amount, paid="0") for i, amount in enumerate(amounts)], delimiter)


def money_last(fields):
    return [*fields[:5], *fields[6:], fields[5]]


US = [r[:3] + ["01/20/2024"] + r[4:7] + ["03/01/2024"] for r in good_rows()]

VALUES = [
    failed("dates_of_two_meanings", dated("03/04/2025", "12/11/2024"), EITHER),
    failed("dates_with_the_day_first", dated("03/04/2025", "25/04/2025"), ONLY.format("DD/MM/YYYY")),
    failed("dates_with_points", dated("31.01.2024", "1.2.2024"), ONLY.format("DD.MM.YYYY")),
    failed("dates_without_separators", dated("20240131"), ONLY.format("YYYYMMDD")),
    failed("dates_with_names", dated("31-Jan-2024", "01-FEB-2024"), ONLY.format("DD-MON-YYYY")),
    failed("dates_not_as_declared", lines([r[:2] + [day] + r[3:] for r, day in zip(US, ("25/01/2024", "03/04/2024"))]),
           ONLY.format("DD/MM/YYYY"), "us"),
    failed("decimal_comma", priced("12,50", "1.234,00", "7,10", delimiter=";"), DECIMAL.format("comma"), "semicolon"),
    failed("decimal_point", priced("12.50", "1,234.00", "7.10", delimiter=";"), DECIMAL.format("point"), "comma"),
]

UNREADABLE = "`claim_amount` cannot be read as an amount of money"
WIDE = [fixed_line(row(f"F{i}", patient=SECRET)) for i in range(7)]

ROWS = [
    held("gzip_cut", MANY[:len(MANY) // 2], sentence=CUT),
    held("fields_missing", lines([row("H1"), row("H2")[:-2], row("H3")]), (3, "field_count", "the line has 6 fields, the header 8"), placed=2),
    held("fields_too_many", lines([row("H4"), [*row("H5"), SECRET]]), (3, "field_count", "the line has 9 fields, the header 8"), placed=1),
    held("quote_never_closed", lines([row("H6"), ['"H7', *row("")[1:]], row("H8")]), (3, "line_unreadable", "a quoted field never ends"), placed=2),
    held("text_behind_a_quote", lines([row("H9"), ['"H10"x', *row("")[1:]]]), (3, "line_unreadable", "text follows a closing quote"), placed=1),
    held("a_zero_byte", lines([row("H11"), row("H\0" "12")]), (3, "line_unreadable", "the line holds a NUL byte"), placed=1),
    held("line_too_long", lines([row("H13"), row("H14", patient="x" * 2000)]),
         (3, "line_unreadable", "the line is longer than max_line_bytes"), section="small", placed=1),
    held("field_too_long", lines([row("H15"), row("H16", patient="x" * 300)]),
         (3, "line_unreadable", "a field is longer than max_field_bytes"), section="small", placed=1),
    held("row_of_too_many_fields", lines([row("H17"), ["x"] * 5000]), (3, "line_unreadable", "the line has more than 1593 fields"), placed=1),
    held("cut_in_a_line", lines([row("H18"), row("H19")])[:-40], (3, "line_cut", CUT_LINE), sentence=CUT, placed=1),
    held("cut_in_quotes", lines([row("H20"), row("H21")])[:-11] + '"2024', (3, "line_cut", CUT_LINE), sentence=CUT, placed=1),
    held("cut_in_a_date", lines([row("H22"), row("H23"), row("H24")])[:-3], (4, "line_cut", CUT_LINE), sentence=CUT, placed=2),
    held("cut_in_cents", lines([money_last(row("H36", paid="125.00")), money_last(row("H37", paid="5.00")), money_last(row("H38"))], header=money_last(COLUMNS))[:-2],
         (4, "line_cut", CUT_LINE), sentence=CUT, placed=2),
    held("header_on_every_page", lines([row("H33")]) + lines([row("H34")], header=[name.upper() for name in COLUMNS]) + lines([row("H35")]),
         (3, "header_again", AGAIN_LINE), (5, "header_again", AGAIN_LINE), placed=3),
    held("cut_in_utf16", lines([row("H25"), row("H26")]).encode("utf-16")[:-41], (3, "line_cut", CUT_LINE), sentence=CUT, placed=1),
    held("no_id", lines([row("H27"), row(" ")]), (3, "key_missing", "the row has no id"), placed=1),
    held("id_that_says_nothing", lines([row("H28"), row("N/A")]), (3, "key_missing", "the row has no id"), placed=1),
    held("id_that_a_spreadsheet_rounded", lines([row("H39"), row("1.23E+11", amount="5.00"), row("1.23457E+15"), row("1E10"), row("12E+05")]),
         (3, "key_rounded", ROUNDED), (4, "key_rounded", ROUNDED), placed=3),
    held("totals_below", lines([row("H40"), ["Total:", "", "", "", "100.00", "80.00", "", ""], row("Total", patient="P1")]),
         (3, "total_row", "the row adds up others: its id says so, and it names no patient and no date"), placed=2),
    held("amount_of_words", priced("7.10", "seven", ids="W"), (3, "amount_unreadable", UNREADABLE), placed=1),
    held("amount_too_large", priced("7.10", "1e15", ids="L"), (3, "amount_unreadable", UNREADABLE), placed=1),
    held("amount_of_two_meanings", priced("7.10", "12,50", delimiter=";", ids="M"), (3, "amount_unreadable", UNREADABLE), section="semicolon", placed=1),
    held("fixed_line_short", "\n".join([WIDE[0], WIDE[1][:60], WIDE[2]]) + "\n",
         (2, "field_count", "the line ends before its last column begins"), section="fixed", placed=2),
    held("fixed_cut", "\n".join([WIDE[3], WIDE[4][:60]]), (2, "line_cut", CUT_LINE), section="fixed", sentence=CUT, placed=1),
    held("fixed_zero_byte", WIDE[5] + "\n" + WIDE[6].replace("Paid", "Pa\0d") + "\n",
         (2, "line_unreadable", "the line holds a NUL byte"), section="fixed", placed=1),
    held("row_without_header_too_short", lines([row("H29"), row("H30")[:3]], header=None),
         (2, "field_count", "the line has 3 fields, the header 8"), section="bare", placed=1),
    held("escape_at_the_end", lines([row("H31"), row("H32", modified="x\\")])[:-1], section="backslash"),
]


def isa(separator="*", component=":", terminator="~"):
    parts = ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", SECRET.ljust(15), "ZZ", "PROVIDER".ljust(15), "250110", "1200", "^", "00501", "000000001", "0",
             "P", component]
    group = ["GS", "HP", SECRET, "PROVIDER", "20250110", "1200", "1", "X", "005010X221A1"]
    return terminator.join(separator.join(s) for s in (parts, group, ["GE", "0", "1"], ["IEA", "1", "000000001"])) + terminator


RECODED = ("segment 1, line 1, byte 0: a separator of the ISA is several bytes, for the file was saved as UTF-8 on its way; send it as it came, "
           "byte for byte")
INTERCHANGES = [failed(f"x12_{what}_in_utf8", isa(**{what: sign}), RECODED, "x12", ".835")
                for what, sign in (("separator", "\u00a6"), ("component", "\u2026"), ("terminator", "\u00a7"))]

BAD = [*PACKED, *ENCODED, *HEADERS, *VALUES, *ROWS, *INTERCHANGES]


@dataclass
class Good:
    """Rows that must come out the same, however they are written."""
    name: str
    section: str
    make: object             # (rows) -> bytes
    detected: dict
    file: str = ""
    ids: str = ""            # how its claims are called

    def __post_init__(self):
        self.file = self.file or f"a_{self.name}.csv"
        self.ids = self.name.upper()


STATUS = "Pay\u00e9"  # beyond ASCII, and in Windows-1252


def made_rows(prefix):
    return [row(f"{prefix}-1", status=STATUS), row(f"{prefix}-2", amount="1234.50", paid="0.00"),
            row(f"{prefix}-3", status='say "so", he said', amount="-0.05")]


def _csv(delimiter=",", end="\n", quote='""', header=COLUMNS, encoding="utf-8", edit=lambda rows: rows):
    """By hand: Python's own writer knows neither all ends nor all escapes."""
    def cell(text):
        plain = quote is None or not any(c in text for c in (delimiter, '"', "\n"))
        return text if plain else '"' + text.replace('"', quote) + '"'

    def make(rows):
        return lines([[cell(text) for text in fields] for fields in edit(rows)], delimiter, end, header).encode(encoding)
    return make


def _map(**changes):
    return lambda rows: [[changes.get(name, lambda text: text)(text) for name, text in zip(COLUMNS, fields)] for fields in rows]


def us_date(text):
    return f"{text[5:7]}/{text[8:]}/{text[:4]}"


def comma_amount(text):
    whole, cents = text.split(".")
    return ("1.234" if whole == "1234" else whole) + "," + cents


def dollars(text):
    sign, digits = ("-", text[1:]) if text[0] == "-" else ("", text)
    return f"${float(digits):,.2f}" + sign


def zip64(content):
    return zip_of(("a.csv", content), force_zip64=True)


def _streamed(content):
    """Sizes behind the data, as packers do that write into a pipe."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.all = b""

        def writable(self):
            return True

        def write(self, piece):
            self.all += bytes(piece)
            return len(piece)
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return pipe.all


def _big_end(content):
    """The end record of an archive beyond 4 GiB, for a small one."""
    at = content.rindex(END)
    count, size, directory = struct.unpack("<HII", content[at + 10:at + 20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, directory)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    return content[:at] + record + locator + struct.pack("<4sHHHHIIH", END, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)


def _pair(first, second):
    return lambda rows: second(first(rows))


def _plain(delimiter=",", line_end="lf", encoding="utf-8", mark=False, packing="plain", header=True, decimal="point", form="delimited"):
    found = {"packing": packing, "encoding": encoding, "byte_order_mark": mark, "format": form, "line_end": line_end, "header": header,
             "delimiter": delimiter, "decimal": decimal}
    return {key: value for key, value in found.items() if value is not None}


GOOD = [
    Good("crlf", "csv", _csv(end="\r\n"), _plain(line_end="crlf")),
    Good("cr", "csv", _csv(end="\r"), _plain(line_end="cr")),
    Good("mark", "csv", _csv(encoding="utf-8-sig"), _plain(mark=True)),
    Good("utf16_le", "csv", _csv(encoding="utf-16"), _plain(encoding="utf-16le", mark=True)),
    Good("utf16_be", "utf16", lambda rows: b"\xfe\xff" + _csv(encoding="utf-16-be")(rows), _plain(encoding="utf-16be", mark=True)),
    Good("utf16_declared", "utf16le", _csv(encoding="utf-16-le"), _plain(encoding="utf-16le")),
    Good("windows", "latin", _csv(encoding="cp1252"), _plain(encoding="windows-1252")),
    Good("guessed", "csv", _csv(encoding="cp1252"), _plain(encoding="windows-1252")),
    Good("tab", "tsv", _csv("\t"), _plain("\t")),
    Good("semi", "semicolon", _csv(";"), _plain(";")),
    Good("bar", "pipe", _csv("|"), _plain("|")),
    Good("wave", "tilde", _csv("~"), _plain("~")),
    Good("found_tab", "detect", _csv("\t"), _plain("\t")),
    Good("found_semi", "detect", _csv(";", end="\r\n"), _plain(";", "crlf")),
    Good("found_bar", "detect", _csv("|"), _plain("|")),
    Good("found_comma", "detect", _csv(), _plain()),
    Good("escaped", "backslash", _csv(quote='\\"'), _plain()),
    # a field that begins with a quote, as it would have to be read elsewhere
    Good("unquoted", "unquoted", lambda rows: lines([[text.replace(",", "").replace("say ", "") for text in r] for r in rows]).encode(), _plain()),
    Good("headless", "bare", _csv(";", header=None), _plain(";", header=False)),
    Good("relabeled", "renamed", _csv(header=[f"Spalte {i}" for i in range(8)]), _plain()),
    Good("aliased", "aliases", _csv(header=["Claim Number", *COLUMNS[1:5], "PAID", *COLUMNS[6:]]), _plain()),
    Good("shouted", "csv", _csv(header=[name.upper() for name in COLUMNS]), _plain()),
    Good("unseen", "csv", _csv(header=["\u200bClaimID\ufeff", "\u00a0PatientID\u00a0", *COLUMNS[2:]]), _plain()),
    Good("reordered", "csv", _csv(header=[*reversed(COLUMNS), "Extra"], edit=lambda rows: [[*reversed(r), "=cmd()"] for r in rows]), _plain()),
    Good("wide", "fixed", lambda rows: ("\n".join(fixed_line(r) for r in rows) + "\n").encode(),
         _plain(None, header=False, form="fixed")),
    Good("comma_amounts", "comma", _csv(";", edit=_map(ClaimAmount=comma_amount, PaidAmount=comma_amount)), _plain(";", decimal="comma")),
    Good("dollar_amounts", "csv", _csv(edit=_map(ClaimAmount=dollars, PaidAmount=dollars)), _plain()),
    Good("blank_amounts", "csv", _csv(edit=_map(ClaimAmount=lambda text: f"\u00a0{text}\u00a0", PaidAmount=lambda text: f"{text}\u00a0")), _plain()),
    Good("us_dates", "us", _csv(edit=_map(ServiceDate=us_date, ClaimDate=us_date, ModifiedDate=us_date)), _plain()),
    Good("gz", "csv", _pair(_csv(), gzip.compress), _plain(packing="gzip"), "a_gz.csv.gz"),
    Good("gz_in_two", "csv", lambda rows: gzip.compress(_csv()(rows)[:100]) + gzip.compress(_csv()(rows)[100:]), _plain(packing="gzip")),
    Good("gz_utf16", "csv", _pair(_csv(encoding="utf-16"), gzip.compress), _plain(packing="gzip", encoding="utf-16le", mark=True)),
    Good("zip", "csv", _pair(_csv(), lambda text: zip_of(("any name", text))), _plain(packing="zip"), "a_zip.csv.zip"),
    Good("zip_stored", "csv", _pair(_csv(), lambda text: zip_of(("x", text), method=zipfile.ZIP_STORED)), _plain(packing="zip")),
    Good("zip_of_macos", "csv", _pair(_csv(), lambda text: zip_of(("x.csv", text), ("__MACOSX/._x.csv", b"\0\5"))), _plain(packing="zip")),
    Good("zip_with_a_comment", "csv", _pair(_csv(), lambda text: zip_of(("x", text))[:-2] + b"\4\0PK\5\6"), _plain(packing="zip")),
    Good("zip_streamed", "csv", _pair(_csv(), _streamed), _plain(packing="zip")),
    Good("zip64", "csv", _pair(_csv(), zip64), _plain(packing="zip")),
    Good("zip64_end", "csv", _pair(_csv(), lambda text: _big_end(zip_of(("x", text)))), _plain(packing="zip")),
    Good("no_end", "csv", lambda rows: _csv()(rows)[:-1], _plain()),
]
