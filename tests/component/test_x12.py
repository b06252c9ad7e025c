"""X12 files of public test suites, read in place: the parser finds what an independent checker found."""
import json
import os
import subprocess
from decimal import Decimal

import pytest

from harness import settings, x12

FILES = os.path.join(settings.ROOT, "..", "shared", "data", "x12")
AMOUNTS = ("charged", "paid", "plb", "check", "transaction_difference")


@pytest.fixture(scope="module")
def files():
    directory = os.path.realpath(os.environ.get("REVCYCLED_X12_FILES", FILES))
    if not os.path.exists(os.path.join(directory, "expected.json")):
        pytest.skip(f"the public X12 files are not on this machine: {directory} has no expected.json")
    with open(os.path.join(directory, "expected.json"), encoding="utf-8") as file:
        return directory, json.load(file)


def read(build, paths, chunk_bytes=65536):
    found = subprocess.run([os.path.join(build, "x12_tool"), str(chunk_bytes), *paths], check=True, capture_output=True,
                           text=True, timeout=60).stdout
    return [json.loads(line) for line in found.splitlines()]


def as_decimals(transaction):
    """Our cents, or a checker's text, as exact decimals."""
    return {key: (Decimal(value).scaleb(-2) if isinstance(value, int) else Decimal(value)) if key in AMOUNTS else value
            for key, value in transaction.items()}


def compare(found, expected):
    for key in ("interchanges", "groups", "segments"):
        assert found[key] == expected[key], key
    assert len(found["transactions"]) == len(expected["transactions"])
    for ours, theirs in zip(found["transactions"], expected["transactions"]):
        ours, theirs = as_decimals(ours), as_decimals(theirs)
        assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize("chunk_bytes", [1, 37, 65536])
def test_the_public_files_hold_what_an_independent_checker_found(build, files, chunk_bytes):
    directory, expected = files
    paths = [os.path.join(directory, entry["file"]) for entry in expected]
    for ours, theirs in zip(read(build, paths, chunk_bytes), expected, strict=True):
        compare(ours, theirs)
        if "balanced" in theirs:
            assert all(t["balanced"] for t in ours["transactions"]) == theirs["balanced"], theirs["file"]


def test_the_tests_own_reader_agrees_with_the_independent_checker(files):
    directory, expected = files
    for entry in expected:
        with open(os.path.join(directory, entry["file"]), "rb") as file:
            found = x12.summary(file.read())
        for ours, theirs in zip(found["transactions"], entry["transactions"], strict=True):
            assert as_decimals({key: str(value) if key in AMOUNTS else value for key, value in ours.items()
                                if key in theirs}) == as_decimals(theirs), entry["file"]
        assert {key: found[key] for key in ("interchanges", "groups", "segments")} == \
            {key: entry[key] for key in ("interchanges", "groups", "segments")}, entry["file"]


def test_the_public_files_read_the_same_in_every_dress(build, files, tmp_path):
    """Line ends behind the terminator, none, CRLF, a BOM, indents, folded lines: the same segments and sums."""
    directory, expected = files
    plain = [entry for entry in expected if entry["bytes"] < 10000]
    for number, dress in enumerate(DRESSES):
        paths = []
        for entry in plain:
            with open(os.path.join(directory, entry["file"]), "rb") as file:
                segments = x12.segments_of(file.read())
            paths.append(tmp_path / f"{number}-{entry['file']}")
            paths[-1].write_bytes(dress(segments))
        for ours, theirs in zip(read(build, paths, 13), plain, strict=True):
            compare(ours, theirs)


def written(segments, separator="*", terminator="~", behind="\n", before=""):
    return "".join(before + separator.join(s) + terminator + behind for s in segments).encode("latin-1")


def folded(segments):
    text = written(segments, behind="").decode("latin-1")
    return "\r\n".join(text[i:i + 80] for i in range(0, len(text), 80)).encode("latin-1")


DRESSES = [
    written,
    lambda s: written(s, behind=""),
    lambda s: written(s, behind="\r\n"),
    lambda s: written(s, behind="\r"),
    lambda s: written(s, terminator="\n", behind=""),
    lambda s: written(s, terminator="\r\n", behind=""),
    lambda s: b"\xef\xbb\xbf" + written(s),
    lambda s: written(s, before="    ", behind="\r\n"),
    lambda s: written(s, separator="|", terminator="'"),
    lambda s: written(s, separator="\x1d", terminator="\x1c", behind=""),
    lambda s: b"\n\n" + written(s) + b"\n\x1a",
    lambda s: written(s).rstrip(b"~\n"),
    lambda s: written([[e.rstrip() for e in x] if x[0] == "ISA" else x for x in s]),
    folded,
]


# ---- rows ----

def rows_of(build, tmp_path, *contents):
    paths = []
    for i, content in enumerate(contents):
        paths.append(tmp_path / f"rows{i}")
        paths[-1].write_bytes(content)
    found = subprocess.run([os.path.join(build, "x12_tool"), "rows", *paths], check=True, capture_output=True,
                           text=True, timeout=60).stdout
    return [json.loads(line) for line in found.splitlines()]


def listed(text):
    """(line, group, reason, position, amount) of an adjustment list."""
    entries = [entry.split("|") for entry in text.split(";")] if text else []
    return [(int(e[0]), e[1], e[2], int(e[3]), Decimal(e[4]).scaleb(-2)) for e in entries]


def test_every_claim_and_adjustment_of_the_public_files_is_a_row(build, files, tmp_path):
    directory, expected = files
    for entry in expected:
        with open(os.path.join(directory, entry["file"]), "rb") as file:
            content = file.read()
        found = rows_of(build, tmp_path, content)
        assert len(found) == sum(t["claims"] for t in entry["transactions"]), entry["file"]
        assert sum(Decimal(row["claim_amount"]) for row in found) == \
            sum(Decimal(t["charged"]) for t in entry["transactions"]), entry["file"]
        assert sum(len(row.get("service_lines", "").split(";")) if "service_lines" in row else 0 for row in found) == \
            sum(t["lines"] for t in entry["transactions"]), entry["file"]
        if entry["kind"] == "835":
            assert [(row["source_claim_id"], listed(row.get("adjustment_list"))) for row in found] == \
                x12.adjustment_rows(x12.segments_of(content)), entry["file"]


def one(build, tmp_path, *claim, **options):
    return rows_of(build, tmp_path, x12.envelope("835", [x12.remittance([list(claim)], number="CHECK1", **options)]))[0]


@pytest.mark.parametrize("claim, status", [
    (["CLP*A*1*100*80**MC*ICN", "CAS*CO*45*20"], "Paid"),
    (["CLP*A*1*100*0*100*MC*ICN", "CAS*PR*1*60**2*40"], "Approved"),       # all of it the patient's: processed, not denied
    (["CLP*A*1*100*0**MC*ICN", "CAS*CO*45*100"], "Approved"),              # above the contract's fee, alone
    (["CLP*A*1*100*0**MC*ICN", "SVC*HC:99213*100*0", "CAS*CO*45*20**29*80"], "Denied"),
    (["CLP*A*2*100*0**MC*ICN", "CAS*OA*23*100"], "Approved"),              # the payer before it has paid
    (["CLP*A*4*100*0**MC*ICN", "CAS*PR*1*100"], "Denied"),                 # the payer says so
    (["CLP*A*1*100*0*100*MC*ICN", "CAS*PR*96*100"], "Denied"),
    (["CLP*A*1*100*0*100*MC*ICN", "CAS*PR*3*100"], "Approved"),            # the copay alone
    (["CLP*A*1*100*0**MC*ICN", "CAS*CO*45*110**94*-10"], "Approved"),      # what is given denies nothing
    (["CLP*A*23*100*0**MC*ICN", "CAS*OA*109*100"], "Pending"),
    (["CLP*A*25*100*0**MC*ICN", "CAS*OA*101*100"], "Pending"),             # what it would pay, of a claim that was not sent
])
def test_what_the_payer_decided(build, tmp_path, claim, status):
    assert one(build, tmp_path, *claim)["claim_status"] == status


def test_a_remittance_says_what_the_model_asks_for(build, tmp_path):
    row = one(build, tmp_path, "CLP*CLAIM7*1*150.00*95.5*24.5*MC*ICN77*11*1", "NM1*QC*1*LAST*FIRST****MI*M1", "REF*EA*MRN7",
              "MOA***MA01", "DTM*232*20250102", "SVC*HC:99213:25*100*75.5**1", "DTM*472*20250103", "CAS*PR*1*10**2*9**3*5.5",
              "LQ*HE*N1", "LQ*HE*N2", "SVC*HC:85025*50*20**1", "DTM*472*20250102", "CAS*CO*45*30*1", "LQ*HE*N3")
    assert row == {
        "segment": 10, "set": 1, "delivery_kind": "remittance", "source_claim_id": "CLAIM7", "payer_claim_id": "ICN77",
        "claim_status": "Paid", "status_code": "1", "claim_amount": "150.00", "paid_amount": "95.50",
        "patient_responsibility": "24.5", "deductible": "10.00", "coinsurance": "9.00", "copay": "5.50",
        "service_date": "2025-01-02", "decision_date": "2025-01-10", "source_modified_at": "2025-01-10 12:00:00",
        "payer_name": "GOOD HEALTH", "source_patient_id": "MRN7", "member_id": "M1", "patient_last_name": "LAST",
        "patient_first_name": "FIRST", "billing_provider": "1234567893", "filing_indicator": "MC", "frequency_code": "1",
        "check_number": "CHECK1", "service_lines": "1|99213|100|75.5|1|2025-01-03;2|85025|50|20|1|2025-01-02",
        "remark_codes": "MA01",
        "adjustment_list": "1|PR|1|1|1000||N1,N2;1|PR|2|2|900||N1,N2;1|PR|3|3|550||N1,N2;2|CO|45|1|3000|1|N3",
        "group_control": "1", "set_control": "0001"}


def test_a_reversal_leaves_the_claim_unpaid_and_its_adjustments_negative(build, tmp_path):
    row = one(build, tmp_path, "CLP*A*22*-100*-64**MC*ICN", "CAS*CO*45*-20**29*-10", "CAS*PR*1*-3**2*-2**3*-1")
    assert (row["claim_status"], row["claim_amount"], row["paid_amount"]) == ("Reversed", "100.00", "0.00")
    assert listed(row["adjustment_list"])[:2] == [(0, "CO", "45", 1, Decimal(-20)), (0, "CO", "29", 2, Decimal(-10))]
    assert {row[share] for share in ("deductible", "coinsurance", "copay")} == {"0.00"}  # nothing is the patient's until a correction


def test_where_a_remittance_says_what(build, tmp_path):
    """What stands beside it, or in the next loop, is something else."""
    row = one(build, tmp_path, "CLP*A*1*100*90**MC*ICN", "NM1*QC*1*LAST*FIRST", "NM1*QC*1*OTHER*O", "NM1*82*1*DOC*D****XX*2222222228",
              "NM1*74*1*CORRECTED*C****MI*M2", "REF*1L*GROUP", "MOA***MA01*MA02*MA03*MA04*MA05", "SVC*HC:9|9;2*100*90", "DTM*150*20250104",
              "DTM*151*20250106", "CAS*CO*45*10", "REF*EA*NOBODY", "LQ*RX*70", "LQ*HE*N1")
    assert (row["patient_last_name"], row["rendering_provider"], row["remark_codes"], row["service_date"]) == \
        ("LAST", "2222222228", "MA01,MA02,MA03,MA04,MA05", "2025-01-04")
    assert row["adjustment_list"] == "1|CO|45|1|1000||N1" and "source_patient_id" not in row and "member_id" not in row
    assert row["service_lines"].split("|")[1:3] == ["9 9 2", "100"]  # what parts the list does not stand in it


def test_a_code_with_a_sign_in_it_becomes_no_other(build, tmp_path):
    row = one(build, tmp_path, "CLP*A*1*100*90**MC*ICN", "CAS*C,O*4;5*5**4|5*5")
    assert row["adjustment_list"] == "0|C O|4 5|1|500||;0|C O|4 5|2|500||"


def test_one_claims_sums_are_not_the_next_ones(build, tmp_path):
    claims = [["CLP*A*1*100*0**MC*ICN", "NM1*QC*1*LAST*F", "CAS*PR*1*10**2*20**3*30", "CAS*CO*29*40", "MOA***MA01", "DTM*232*20250102"],
              ["CLP*B*1*100*0**MC*ICN", "SVC*HC:99213*100*0", "CAS*CO*45*100"]]
    _, row = rows_of(build, tmp_path, x12.envelope("835", [x12.remittance(claims)]))
    assert (row["claim_status"], row["deductible"], row["coinsurance"], row["copay"]) == ("Approved", "0.00", "0.00", "0.00")
    assert not {"remark_codes", "service_date", "patient_last_name"} & set(row)


def test_claims_of_a_first_set_without_its_beginning_are_found_in_each_kind(build, tmp_path):
    """By what their group says it holds; whoever posts sees that they stand in no set."""
    sets = {"835": x12.remittance([["CLP*C1*1*1*1**MC*I"]]), "837": ["HL*1**22*0", "CLM*C1*1***11:B:1"], "277": ["HL*1**PT", "TRN*2*C1", "STC*A1:1"]}
    for kind, segments in sets.items():
        whole = x12.envelope(kind, [segments]).decode()
        start = next(line for line in whole.split("\n") if line.startswith("ST*"))
        (row,) = rows_of(build, tmp_path, whole.replace(start + "\n", "").encode())
        assert row["source_claim_id"] == "C1", kind


def test_each_kind_of_claim_says_its_units_in_its_own_place(build, tmp_path):
    lines = {"SV1*HC:99213*5*UN*3": "99213|5||3|", "SV2*0300*HC:80053*5*UN*4": "80053|5||4|", "SV3*AD:D2150*5****6": "D2150|5||6|"}
    claims = [segment for i, line in enumerate(lines) for segment in (f"CLM*C{i}*5***11:B:1", "LX*1", line)]
    found = rows_of(build, tmp_path, x12.envelope("837", [["HL*1**22*0", *claims]]))
    assert [row["service_lines"] for row in found] == [f"1|{said}" for said in lines.values()]


def test_what_a_line_of_a_status_says_is_not_the_claims(build, tmp_path):
    row = status_of(build, tmp_path, "005010X214", "REF*1K*ICN1", "SVC*HC:99213*60*****1", "STC*A7:21*20250106*U*60", "REF*1K*OTHER", "REF*EJ*OTHER")
    assert (row["source_claim_id"], row["payer_claim_id"], row["service_lines"]) == ("T1", "ICN1", "1|99213|60||1|")
    assert not {"claim_status", "status_code", "claim_amount"} & set(row)


UNREADABLE = { # what is replaced, by what, and what is said of it
    "BPR02": ("BPR*I*65*", "BPR*I*6S*", "BPR02 of 4 is no amount"), "CLP03": ("*1*100*70*", "*1*1OO*70*", "CLP03 of 10 is no amount"),
    "CLP04": ("*1*100*70*", "*1*100*7O*", "CLP04 of 10 is no amount"), "SVC02": ("99213*100*70", "99213*1,00*70", "SVC02 of 11 is no amount"),
    "SVC03": ("99213*100*70", "99213*100*$70", "SVC03 of 11 is no amount"),
    "a plus": ("99213*100*70", "99213*+100*70", "SVC02 of 11 is no amount"),
    "an exponent": ("99213*100*70", "99213*1E2*70", "SVC02 of 11 is no amount"),
    "CAS03": ("CO*45*10*", "CO*45*10.005*", "CAS03 of 12 has a fraction of a cent"),
    "too large": ("CO*45*10*", "CO*45*10000000000000*", "CAS03 of 12 is larger than any amount"),
    "CAS18": ("6*1*", "6*1-1*", "CAS18 of 12 is no amount"), "CAS of no reason": ("*3*2**4*", "*3*2***", "CAS12 of 12 has no reason before it"),
    "PLB04": ("*L6*2*", "*L6*2e0*", "PLB04 of 13 is no amount"), "PLB06": ("*WO*3", "*WO*3.3.3", "PLB06 of 13 is no amount"),
    "PLB of no code": ("*L6*2*", "*:L6*2*", "PLB04 of 13 has no reason before it"),
    "PLB of no reason": ("*L6*2*", "**2*", "PLB04 of 13 has no reason before it")}


@pytest.mark.parametrize("place", UNREADABLE)
def test_an_amount_that_cannot_be_read_is_counted_and_told_wherever_it_stands(build, tmp_path, place):
    sound, instead, said = UNREADABLE[place]
    claim = ["CLP*A*1*100*70**MC*I", "SVC*HC:99213*100*70", "CAS*CO*45*10**2*9**3*2**4*3**5*5**6*1*1"]
    content = x12.envelope("835", [x12.remittance([claim], plb=["PLB*1*20251231*L6*2*WO*3"])]).decode()
    assert content.count(sound) == 1
    paths = [tmp_path / "sound", tmp_path / "not"]
    paths[0].write_text(content)
    paths[1].write_text(content.replace(sound, instead))
    found = [file["transactions"][0] for file in read(build, paths)]
    assert [(t["unreadable"], t["balanced"]) for t in found] == [(0, True), (1, False)]
    assert "bad_amount" not in found[0] and found[1]["bad_amount"].startswith(said)


@pytest.mark.parametrize("amount", ["70.000", "70.", "70.00000", "070", "70"])
def test_noughts_that_say_nothing_change_no_amount(build, tmp_path, amount):
    claim = ["CLP*A*1*100*" + amount + "**MC*I", "CAS*CO*45*29.5**2*.5"]
    (found,) = read_written(build, tmp_path, x12.envelope("835", [x12.remittance([claim])]))
    assert (found["balanced"], found["paid"], found["unreadable"]) == (True, 7000, 0)


@pytest.mark.parametrize("amount, said", [("1E2", "is no amount"), ("$100", "is no amount"), ("(100)", "is no amount"), ("1,000", "is no amount"),
                                          ("100.005", "has a fraction of a cent"), ("100-", "is no amount"), ("100.00", None), ("", None)])
def test_amounts_of_claims_sent_and_of_their_status_are_read_as_strictly(build, tmp_path, amount, said):
    """What a cleaner would read, or round, is not what the set adds up to."""
    sent = x12.envelope("837", [["HL*1**22*0", f"CLM*C1*{amount}***11:B:1"]])
    status = [x12.envelope("277", [["HL*1**PT", "TRN*2*C1", f"STC*F1:65*20250101**{at}*20250101"]]) for at in (amount, f"1*{amount}")]
    for content, place in zip([sent, *status], ("CLM02 of 5", "STC04 of 6", "STC05 of 6")):
        (row,) = rows_of(build, tmp_path, content)
        assert row.get("bad_amount", "").startswith(f"{place} {said}" if said else "") and ("bad_amount" in row) == bool(said)


# ---- what belongs to what ----

def read_written(build, tmp_path, content):
    path = tmp_path / "written"
    path.write_bytes(content)
    return read(build, [path])[0]["transactions"]


def remittance_of(*segments, check="70"):
    return x12.envelope("835", [[f"BPR*I*{check}*C*ACH************20250110", "TRN*1*N1*1512345678", "DTM*405*20250110", "N1*PR*PAYER",
                                 "N1*PE*HOSPITAL*XX*1", "LX*1", *segments]])


PLACES = { # segments from the tenth on; what is told of the one that is out of place
    "CAS behind a header": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*20", "LX*2", "CAS*CO*29*10"], "CAS 13 outside any claim", None),
    "CAS behind a group's sums": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*20", "TS3*1*11*20251231*1*100", "CAS*CO*29*10"],
                                  "CAS 13 outside any claim", None),
    "CAS behind other sums": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*20", "TS2*1", "CAS*CO*29*10"], "CAS 13 outside any claim", None),
    "CAS behind PLB": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*20", "PLB*1*20251231*L6*0", "CAS*CO*29*10"], "CAS 13 outside any claim", None),
    "CAS before any claim": (["CAS*CO*29*10", "CLP*A*1*100*70**MC*I", "CAS*CO*45*20"], "CAS 10 outside any claim", None),
    "SVC behind a header": (["CLP*A*1*100*70**MC*I", "LX*2", "SVC*HC:99213*100*70", "CAS*CO*45*30"], "SVC 12 outside any claim", None),
    "a second payment": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*30", "BPR*I*70"], "BPR 12 outside the header of its set", None),
    "nothing": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*30", "AMT*AU*70", "REF*EA*1", "DTM*232*20250102", "LX*2", "TS3*1*11*20251231*1*100", "TS2*1",
                 "LX*3"], None, None),
    "a date between claims": (["DTM*232*20250102", "CLP*A*1*100*70**MC*I", "CAS*CO*45*30"], None, "DTM 10 outside any claim"),
    "a sum behind PLB": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*30", "PLB*1*20251231*L6*0", "AMT*AU*70"], None, "AMT 13 outside any claim"),
    "a remark of no line": (["CLP*A*1*100*70**MC*I", "CAS*CO*45*30", "LQ*HE*N1"], None, "LQ 12 outside any service line"),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_stands_outside_any_claim_is_counted_nowhere_and_told(build, tmp_path, place):
    """Each of the first would balance if it were the claim's before it, of which the rows do not have it."""
    segments, misplaced, unread = PLACES[place]
    (found,) = read_written(build, tmp_path, remittance_of(*segments))
    assert (found.get("misplaced"), found.get("unread")) == (misplaced, unread)
    (row,) = rows_of(build, tmp_path, remittance_of(*segments))
    posted = sum((a[4] for a in listed(row.get("adjustment_list"))), Decimal(0))
    assert (posted == 30) == (found["claims_out_of_balance"] == 0)
    assert found["lines"] == len(row.get("service_lines", "").split(";")) - ("service_lines" not in row)


def test_lines_that_were_sent_outside_any_claim_are_nobodys(build, tmp_path):
    claim = ["HL*1**22*0", "CLM*C1*5***11:B:1", "LX*1", "SV1*HC:99213*5*UN*1", "HL*2**22*0", "LX*1"]
    for line in ("SV1*HC:99213*5*UN*1", "SV2*0300*HC:80053*5*UN*1", "SV3*AD:D2150*5****1"):
        (found,) = read_written(build, tmp_path, x12.envelope("837", [[*claim, line]]))
        assert (found["misplaced"], found["lines"], found["claims"]) == (f"{line[:3]} 10 outside any claim", 1, 1)


def test_the_day_it_was_made_goes_before_that_of_its_payment(build, tmp_path):
    content = x12.envelope("835", [x12.remittance([["CLP*A*1*1*1**MC*I"]])], time="120059")
    (row,) = rows_of(build, tmp_path, content.replace(b"DTM*405*20250110", b"DTM*405*20250107"))
    assert (row["decision_date"], row["source_modified_at"]) == ("2025-01-07", "2025-01-10 12:00:59")
    (row,) = rows_of(build, tmp_path, content.replace(b"DTM*405*20250110~\n", b"").replace(b"SE*9*", b"SE*8*"))
    assert row["decision_date"] == "2025-01-10"


def test_an_inpatient_claim_has_its_remarks_in_another_segment(build, tmp_path):
    """MIA05 and MIA20 to MIA23; of a claim without lines they are its adjustments' too."""
    row = one(build, tmp_path, "CLP*A*1*100*90**MA*ICN", "CAS*CO*45*10", "MIA*0****MA07" + "*" * 15 + "N1*N2*N3*N4")
    assert (row["remark_codes"], row["adjustment_list"]) == ("MA07,N1,N2,N3,N4", "0|CO|45|1|1000||MA07,N1,N2,N3,N4")


def test_an_institutional_claim_says_its_days_who_attended_and_the_payers_number(build, tmp_path):
    """The statement's first day before the lines', a span or a day; the attending provider; what it replaces at the payer."""
    claim = ["BHT*0019*00*1*20250105*0900*CH", "HL*1**20*1", "NM1*85*2*CLINIC*****XX*1111111112", "HL*2*1*22*0", "SBR*P*18*******CI",
             "CLM*C1*100***13:A:7*Y*A*Y*Y", "DTP*434*RD8*20250101-20250103", "REF*F8*ICN77", "HI*BK:I10",
             "NM1*71*1*DOC*A****XX*2222222228", "LX*1", "SV2*0300*HC:80053*100*UN*1", "DTP*472*D8*20250102",
             "CLM*C2*50***13:A:1*Y*A*Y*Y", "LX*1", "SV2*0450**50*UN*1", "DTP*472*D8*20250104"]
    first, second = rows_of(build, tmp_path, x12.envelope("837", [claim], version="005010X223A2"))
    assert (first["service_date"], first["rendering_provider"], first["payer_claim_id"], first["diagnosis_code"],
            first["frequency_code"], first["service_lines"]) == \
        ("2025-01-01", "2222222228", "ICN77", "I10", "7", "1|80053|100||1|2025-01-02")
    assert second["service_date"] == "2025-01-04" and not {"rendering_provider", "payer_claim_id", "diagnosis_code"} & set(second)


def test_what_stands_around_one_claim_does_not_leak_into_the_next(build, tmp_path):
    claim = ["BHT*0019*00*1*20250105*0900*CH", "HL*1**20*1", "NM1*85*2*CLINIC*****XX*1111111112", "HL*2*1*22*0",
             "SBR*P*18*******CI", "NM1*IL*1*ONE*ANN****MI*M1", "NM1*PR*2*PAYER A*****PI*PA",
             "CLM*C1*100***11:B:1*Y*A*Y*Y", "REF*EA*MRN1", "HI*ABK:J10", "NM1*82*1*DOC*A****XX*2222222228",
             "SBR*S*18*******MB", "NM1*IL*1*OTHER*X****MI*M9", "NM1*PR*2*OTHER PAYER*****PI*PO", "NM1*82*1*X*X****XX*9",
             "LX*1", "SV1*HC:99213*100*UN*1", "DTP*472*RD8*20250104-20250105", "HL*3*1*22*0", "SBR*P*18",
             "NM1*IL*1*TWO*BOB****MI*M2", "CLM*C2*50***11:B:8*Y*A*Y*Y", "LX*1", "SV1*HC:85025*50*UN*1", "DTP*472*D8*20250106"]
    first, second = rows_of(build, tmp_path, x12.envelope("837", [claim]))
    assert (first["source_payer_id"], first["member_id"], first["rendering_provider"], first["diagnosis_code"],
            first["source_patient_id"], first["filing_indicator"], first["service_date"], first["claim_date"]) == \
        ("PA", "M1", "2222222228", "J10", "MRN1", "CI", "2025-01-04", "2025-01-05")
    assert (second["source_claim_id"], second["member_id"], second["patient_last_name"], second["claim_status"],
            second["billing_provider"]) == ("C2", "M2", "TWO", "Voided", "1111111112")
    assert not {"source_payer_id", "payer_name", "rendering_provider", "diagnosis_code", "source_patient_id",
                "filing_indicator"} & set(second)


def test_a_status_is_of_claims_not_of_the_file_they_came_in(build, tmp_path):
    segments = ["BHT*0085*08*1*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "TRN*1*BATCH", "HL*2*1*21*1",
                "NM1*41*2*CLINIC*****46*1", "TRN*2*BATCH", "STC*A1:19:PR*20250106*WQ*150", "HL*3*2*19*1",
                "NM1*85*2*CLINIC*****XX*1111111112", "TRN*1*0", "HL*4*3*PT", "NM1*QC*1*ONE*ANN****MI*M1", "TRN*2*C1",
                "STC*A2:20:PR*20250106*WQ*100", "REF*1K*ICN1", "DTP*472*D8*20250104", "SVC*HC:99213*100", "STC*A7:21*20250106",
                "HL*5*3*PT", "NM1*QC*1*TWO*BOB****MI*M2", "TRN*2*C2", "STC*A3:21*20250106*U*50"]
    first, second = rows_of(build, tmp_path, x12.envelope("277", [segments]))
    assert (first["source_claim_id"], first["claim_status"], first["status_code"], first["claim_amount"],
            first["payer_claim_id"], first["service_date"], first["member_id"]) == \
        ("C1", "Pending", "A2:20:PR", "100", "ICN1", "2025-01-04", "M1")
    assert (second["source_claim_id"], second["claim_status"], second["member_id"]) == ("C2", "Rejected", "M2")


# By the public list of claim status categories (X12, code source 507): refused by whom cannot take them, finalised, or neither.
CATEGORIES = {"A0": "Pending", "A1": "Pending", "A2": "Pending", "A3": "Rejected", "A4": "Rejected", "A5": "Pending", "A6": "Rejected",
              "A7": "Rejected", "A8": "Rejected", "P0": "Pending", "P1": "Pending", "R0": "Pending", "F0": "Approved", "F1": "Paid",
              "F2": "Denied", "F3": "Approved", "F4": "Approved"}


def status_of(build, tmp_path, version, *claim):
    segments = ["BHT*0085*08*1*20250106*0900*TH", "HL*1**20*1", "HL*2*1*PT", "TRN*2*T1", *claim]
    (row,) = rows_of(build, tmp_path, x12.envelope("277", [segments], version=version))
    return row


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_of_a_status_says_where_the_claim_stands(build, tmp_path, category):
    row = status_of(build, tmp_path, "005010X214", f"STC*{category}:20*20250106**100*70*20250104")
    assert (row["source_claim_id"], row["claim_status"]) == ("T1", CATEGORIES[category])
    assert row.get("decision_date") == ("2025-01-04" if category[0] == "F" else None)


def test_the_first_status_of_a_claim_counts_and_what_was_paid_is_said(build, tmp_path):
    row = status_of(build, tmp_path, "005010X214", "STC*F1:65*20250106**100*70.5*20250104", "STC*F2:585*20250106**99*0*20250105")
    assert (row["claim_status"], row["status_code"], row["claim_amount"], row["paid_amount"], row["decision_date"]) == \
        ("Paid", "F1:65", "100", "70.5", "2025-01-04")


@pytest.mark.parametrize("category", ["D0", "E0", "E1"])
def test_an_answer_that_cannot_tell_says_so(build, tmp_path, category):
    assert status_of(build, tmp_path, "005010X214", f"STC*{category}:35*20250106")["why_not"].startswith("the payer's answer says nothing")


def test_another_payers_number_of_a_claim_is_not_its_own(build, tmp_path):
    claim = ["HL*1**22*0", "CLM*C1*1***11:B:7", "SBR*S*18", "NM1*PR*2*OTHER", "REF*F8*THEIRS", "REF*EA*NOBODY", "LX*1", "SV1*HC:99213*1*UN*1",
             "REF*F8*OF-A-LINE", "CLM*C2*1***11:B:7", "REF*F8*ICN2", "REF*EA*MRN2"]
    first, second = rows_of(build, tmp_path, x12.envelope("837", [claim]))
    assert not {"payer_claim_id", "source_patient_id"} & set(first)
    assert (second["payer_claim_id"], second["source_patient_id"]) == ("ICN2", "MRN2")


@pytest.mark.parametrize("version", ["005010X212", "005010X213", "005010X228", "004010X093A1"])
def test_an_answer_to_an_inquiry_is_of_the_claim_that_it_names(build, tmp_path, version):
    """Its trace is what we asked by, or the payer's."""
    assert status_of(build, tmp_path, version, "STC*P3:317*20250106", "REF*EJ*C1")["source_claim_id"] == "C1"
    unknown = status_of(build, tmp_path, version, "STC*P3:317*20250106")
    assert "source_claim_id" not in unknown and unknown["why_not"].startswith("the payer names no claim")


# ---- what is bounded ----

MEMORY_KILOBYTES = 24_000  # address space of the tool and its libraries: twice what it needs


NAME = "X" * 60
MANY = { # one set each of what a sender may repeat without end
    "names before any claim": ("837", [f"NM1*IL*1*{NAME}*{NAME}****MI*M"] * 200_000),
    "lines of one claim": ("837", ["CLM*C1*1***11:B:1"] + [f"SV1*HC:{NAME}*1*UN*1", "DTP*472*D8*20250104"] * 150_000),
    "dates of one claim": ("837", ["CLM*C1*1***11:B:1"] + ["DTP*434*D8*20250104"] * 1_200_000),
    "names of one status": ("277", ["HL*1**PT", "TRN*2*C1"] + [f"NM1*QC*1*{NAME}*{NAME}****MI*M"] * 200_000),
}


@pytest.mark.skipif("sanitize" in os.environ.get("REVCYCLED_BUILD", ""), reason="a sanitizer keeps freed memory")
@pytest.mark.parametrize("what", MANY)
def test_memory_does_not_grow_with_what_a_set_repeats(build, tmp_path, what):
    kind, segments = MANY[what]
    path = tmp_path / "many.x12"
    path.write_bytes(x12.envelope(kind, [segments]))
    subprocess.run(["sh", "-c", f"ulimit -v {MEMORY_KILOBYTES}; exec {build}/x12_tool rows {path}"], check=True,
                   stdout=subprocess.DEVNULL, timeout=60)


def test_the_patients_share_of_nonsense_stays_within_bounds(build, tmp_path):
    cas = "CAS*PR" + "*1*999999999999.99*" * 6
    row = one(build, tmp_path, "CLP*A*1*1*1", *[cas] * 16_000)
    assert Decimal(row["deductible"]) > Decimal(10) ** 15
