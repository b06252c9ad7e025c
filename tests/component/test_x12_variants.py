"""X12 as it may lawfully look: the same claims in every dress, found by another reader, and nothing that is cut or broken in silence."""
from decimal import Decimal

import pytest

from component.test_x12 import DRESSES, compare, listed, read, rows_of
from harness import x12

# ---- what files may hold ----

SENT = ["BHT*0019*00*REF1*20250105*0900*CH", "NM1*41*2*SENDER*****46*S1", "NM1*40*2*RECEIVER*****46*R1",
        "HL*1**20*1", "NM1*85*2*CLINIC*****XX*1111111112",
        "HL*2*1*22*0", "SBR*P*18*******CI", "NM1*IL*1*ONE*ANN****MI*M1", "NM1*PR*2*PAYER A*****PI*PA",
        "CLM*C1*100***11:B:1*Y*A*Y*Y", "HI*ABK:J10*ABF:E119", "LX*1", "SV1*HC:99213:25:59*60*UN*1***1:2", "DTP*472*D8*20250102",
        "LX*2", "SV1*HC:85025*40*UN*1", "DTP*472*D8*20250103",
        "HL*3*1*22*1", "SBR*P********CI", "NM1*IL*1*TWO*BOB****MI*M2", "NM1*PR*2*PAYER B*****PI*PB",
        "HL*4*3*23*0", "PAT*19", "NM1*QC*1*TWO*KID", "CLM*C2*50.5***11:B:7*Y*A*Y*Y", "LX*1", "SV1*HC:99214*50.50*UN*1",
        "DTP*472*RD8*20250104-20250106", "CLM*C3*.5***11:B:1*Y*A*Y*Y", "LX*1", "SV1*HC:36415*.50*UN*1", "DTP*472*D8*20250104",
        "HL*5*3*23*0", "PAT*01", "NM1*QC*1*TWO*WIFE", "CLM*C4*0***11:B:1*Y*A*Y*Y", "LX*1", "SV1*HC:99999*0*UN*1",
        "HL*6**20*1", "NM1*85*1*ALONE*A", "HL*7*6*22*0", "SBR*S*18*******MC", "NM1*IL*1*SIX*SAM****MI*M6", "NM1*PR*2*PAYER C*****PI*PC",
        "CLM*C5*1200***13:A:8*Y*A*Y*Y", "DTP*434*RD8*20250110-20250112", "HI*BK:I10", "SBR*P*18*******MB", "CAS*CO*45*5",
        "NM1*IL*1*OTHER*O****MI*MX", "NM1*PR*2*OTHER*****PI*PX", "LX*1", "SV2*0300*HC:80053*700*UN*1", "DTP*472*D8*20250110",
        "LX*2", "SV2*0450**500*UN*1", "DTP*472*D8*20250111"]
DENTAL = ["BHT*0019*00*REF2*20250105*0900*CH", "HL*1**20*1", "NM1*85*2*TEETH*****XX*1111111112", "HL*2*1*22*0", "SBR*P*18*******CI",
          "NM1*IL*1*ONE*ANN****MI*M1", "NM1*PR*2*PAYER A*****PI*PA", "CLM*D1*150***11:B:1*Y*A*Y*Y", "DTP*472*D8*20250105",
          "LX*1", "SV3*AD:D2150*100****1", "LX*2", "SV3*AD:D1110*50****1"]
PAID = x12.remittance([
    ["CLP*C1*1*100*70*10*12*ICN1*11*1", "CAS*CO*45*20", "CAS*PR*2*10", "NM1*QC*1*ONE*ANN****MI*M1", "DTM*232*20250102"],  # no lines
    ["CLP*C2*2*50.5*0.5**MC*ICN2", "SVC*HC:99214:25*50.5*.5**1", "DTM*472*20250104", "CAS*CO*45*10*1*253*.5",
     "CAS*OA*23*5**94*-5*1*100*5", "CAS*PR*1*9.5**2*10**3*15", "LQ*HE*N130", "LQ*HE*M15"],
    ["CLP*C3*3*21*0**MC*ICN3", "CAS*CO*1*1**2*2**3*3**4*4**5*5**6*6"],  # six
    ["CLP*C4*4*0*0**MC*ICN4"],
    ["CLP*0*1*10*10**MC*ICN5"],  # the payer does not know whose
], plb=["PLB*1234567893*20251231*WO:C9*5*L6*-2.5*FB*-100*72:X*1*CS*.25*J1*-7"], payer="PAYER A", number="A1")
NOTHING = x12.remittance([["CLP*C1*22*-100*-70**12*ICN1", "SVC*HC:99213*-100*-70", "CAS*CO*45*-20", "CAS*PR*1*-10"],
                          ["CLP*C1*1*100*70**12*ICN9", "SVC*HC:99213*100*70", "CAS*CO*45*30", "MOA***MA01"],
                          ["CLP*C6*19*30*30**MA*ICN6", "SVC*NU:0300*30*30**2"]],
                         plb=["PLB*1234567893*20251231*FB*30"], check="0", payer="PAYER B", number="B1")
ONLY_PLB = x12.remittance([], plb=["PLB*1234567893*20251231*L6*-3"], payer="PAYER C", number="C1")
ACKNOWLEDGED = ["BHT*0085*08*OWN1*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****46*PA", "TRN*1*INTERCHANGE", "HL*2*1*21*1",
                "NM1*41*2*SENDER*****46*S1", "TRN*2*REF1", "STC*A1:19:PR*20250106*WQ*150", "HL*3*2*19*1",
                "NM1*85*2*CLINIC*****XX*1111111112", "TRN*1*0", "HL*4*3*PT", "NM1*QC*1*ONE*ANN****MI*M1", "TRN*2*C1",
                "STC*A2:20:PR*20250106*WQ*100", "REF*1K*ICN1", "SVC*HC:99213*60*****1", "TRN*2*C7", "STC*A3:21*20250106*U*50",
                "HL*5*3*PT", "NM1*QC*1*TWO*BOB****MI*M2", "TRN*2*0", "STC*A2:20*20250106*WQ*5"]
ANSWERED = ["BHT*0010*08*INQUIRY1*20250107*0900*DG", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "HL*2*1*21*1", "NM1*41*2*SENDER*****46*S1",
            "HL*3*2*19*1", "NM1*1P*2*CLINIC*****XX*1111111112", "HL*4*3*22*1", "NM1*IL*1*TWO*BOB****MI*M2", "HL*5*4*23",
            "NM1*QC*1*TWO*KID", "TRN*2*TRACE-1", "STC*F1:65*20250107**50.5*.5*20250106", "REF*1K*ICN2", "REF*EJ*C2",
            "SVC*HC:99214*50.5*.5****1", "STC*F1:65*20250107", "REF*FJ*1", "TRN*2*TRACE-2", "STC*P3:317*20250107**.5", "REF*EJ*C3",
            "HL*6*3*22", "NM1*IL*1*ONE*ANN****MI*M1", "TRN*2*TRACE-3", "STC*D0:35*20250107", "REF*EJ*C1",
            "TRN*2*TRACE-4", "STC*F2:585*20250107**1"]
PENDING = ["BHT*0085*08*PEND1*20250107*1635*NO", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "HL*2*1*21*1", "NM1*41*2*SENDER*****46*S1",
           "HL*3*2*19*1", "NM1*1P*2*CLINIC*****XX*1111111112", "HL*4*3*PT", "NM1*QC*1*ONE*ANN****MI*M1", "TRN*1*05347006051",
           "STC*P3:317*20250108**8513.88", "REF*EJ*SM123456", "REF*BLT*111", "DTP*472*RD8*20250131-20250204", "TRN*1*0529675341",
           "STC*P1:20*20250110**35"]
ACK = ["AK1*HC*77*005010X222A1", "AK2*837*0001*005010X222A1", "IK5*A", "AK9*A*1*1*1"]

FILES = {
    "837": x12.envelope("837", [SENT, DENTAL]), "835": x12.envelope("835", [PAID, NOTHING, ONLY_PLB]),
    "277CA": x12.envelope("277", [ACKNOWLEDGED]), "277": x12.envelope("277", [ANSWERED], version="005010X212"),
    "277P": x12.envelope("277", [PENDING], version="005010X228"), "999": x12.envelope("999", [ACK]),
}


def regrouped(*names, version_in_set=True):
    """All in one interchange, a group each."""
    segments = [[*x12.segments_of(FILES[name])] for name in names]
    out = [segments[0][0], *[s for file in segments for s in file[1:-1]]]
    if not version_in_set:
        out = [s[:3] if s[0] == "ST" else s for s in out]
    return [*out, ["IEA", str(len(names)), "000000001"]]


def together(*names):
    return [s for name in names for s in x12.segments_of(FILES[name])]


CASES = {**{name: x12.segments_of(content) for name, content in FILES.items()},
         "groups": regrouped(*FILES), "interchanges": together(*FILES),
         "no version in ST": regrouped(*FILES, version_in_set=False)}


def put(segments, separator="*", terminator="~", component=":", repetition="^", behind="\n", before=""):
    """One interchange with these delimiters."""
    def changed(s):
        if s[0] == "ISA":
            return [*s[:11], repetition, *s[12:16], component]
        return [element.replace(":", component) for element in s]
    return "".join(before + separator.join(changed(s)) + terminator + behind for s in segments).encode("latin-1")


def each(segments, *ways):
    """Each interchange in another way."""
    begins = [i for i, s in enumerate(segments) if s[0] == "ISA"] + [len(segments)]
    return b"".join(ways[n % len(ways)](segments[i:end]) for n, (i, end) in enumerate(zip(begins, begins[1:])))


def behind_each_isa(segments, extra):
    return [t for s in segments for t in ([s, extra] if s[0] == "ISA" else [s])]


VARIANTS = {
    **{f"dress {i}": dress for i, dress in enumerate(DRESSES)},
    **{f"elements {c!r} components {k!r} ends {t!r}": (lambda s, c=c, k=k, t=t: put(s, c, t, k, "%", behind=""))
       for c, k, t in (("|", ">", "~"), ("^", "|", "!"), ("~", "^", "_"), ("*", "\\", "\n"), ("\x1d", "\x1f", "\x1e"),
                       (";", ",", "\r"), ("+", ":", "'"), ("#", "@", "\r\n"), ("\t", ":", "~"),
                       ("*", "~", "\n"), ("|", "~", "\r\n"), ("*", "~", "\r"))},
    "no repetition separator": lambda s: put(s, repetition="U"),
    "blank for it": lambda s: put(s, repetition=" "),
    "blanks behind the terminator": lambda s: put(s, behind="   \t \r\n"),
    "blank lines between": lambda s: b"\r\n\n" + put(s, behind="\r\n\r\n\n"),
    "a mark before each interchange": lambda s: each(s, lambda i: b"\xef\xbb\xbf" + put(i), lambda i: b"\xef\xbb\xbf\r\n" + put(i, "|")),
    "each its own delimiters": lambda s: each(s, put, lambda i: put(i, "|", "\n", ">", behind=""), lambda i: put(i, "^", "~", "<", "%", "\r\n")),
    "each without its last end": lambda s: put(s).rstrip(b"~\n"),
    "the last end is left out, and a line end follows": lambda s: put(s)[:-2] + b"\r\n",
    "noughts and a control Z behind": lambda s: put(s) + b"\0" * 50 + b"\x1a",
    "no last end, and noughts behind": lambda s: put(s)[:-2] + b"\n\x1a\0\0\0",
    "lines end by LF, the first by CRLF": lambda s: put(s, terminator="\n", behind="").replace(b"\n", b"\r\n", 1),
    "lines end by CRLF, the first by LF": lambda s: put(s, terminator="\r\n", behind="").replace(b"\r\n", b"\n", 1),
    "lines of 80 filled with blanks": lambda s: b"".join(
        (line + b" " * (-len(line) % 80)) + b"\n" for line in put(s).split(b"\n") if line),
    "empty elements behind": lambda s: put([t if t[0] == "ISA" else [*t, "", "", ""] for t in s]),
    "blanks around elements": lambda s: put([t if t[0] in ("ISA", "STC", "HI") else [t[0], *[f" {e} " if e and ":" not in e else e for e in t[1:]]]
                                             for t in s]),
}
def ours(row):
    """Of a row of the daemon's what the other reader says too."""
    lines = [line.split("|") for line in row.get("service_lines", "").split(";") if line]
    found = {"kind": row["delivery_kind"], "id": row.get("source_claim_id", ""), "lines": [(p[1], Decimal(p[2] or "0")) for p in lines]}
    if found["kind"] == "claim":
        return found | {"amount": Decimal(row["claim_amount"]), "frequency": row.get("frequency_code", ""),
                        "billing": row.get("billing_provider", ""), "member": row.get("member_id", ""),
                        "payer": row.get("source_payer_id", ""), "patient": row.get("patient_last_name", "")}
    if found["kind"] == "status":
        return found | {"status": row.get("status_code", "")}
    return found | {"amount": Decimal(row["claim_amount"]), "paid": Decimal(row["paid_amount"]), "code": row["status_code"],
                    "check": row["check_number"], "payer": row["payer_name"], "adjustments": listed(row.get("adjustment_list"))}


@pytest.mark.parametrize("case", CASES)
def test_claims_are_those_that_another_reader_finds(build, tmp_path, case):
    found = [ours(row) for row in rows_of(build, tmp_path, put(CASES[case]))]
    assert found == x12.claim_rows(CASES[case])
    assert len(found) > 0 or case == "999"


@pytest.mark.parametrize("case", CASES)
def test_sets_add_up_to_what_another_reader_finds(build, tmp_path, case):
    """Claims, lines, reversals, sums and balances; PLB and CAS with all six of their places."""
    content = put(CASES[case])
    found, wanted = read(build, [write(tmp_path / "case", content)])[0], x12.summary(content)
    compare(found, wanted)
    totals = [t for t in wanted["transactions"] if t["kind"] == "835"]
    assert not totals or (sum(t["reversals"] for t in totals), sum(t["plb"] for t in totals)) == (1, Decimal("-76.25"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_the_rows_of_the_canonical_form(build, tmp_path, variant):
    for case, segments in CASES.items():
        wanted = rows_of(build, tmp_path, put(segments))
        path = tmp_path / "dressed"
        path.write_bytes(VARIANTS[variant](segments))
        assert rows_of(build, tmp_path, path.read_bytes()) == wanted, case
        for chunk in (1, 7, 65536):
            found = read(build, [path], chunk)[0]
            assert [f for f in found["faults"] if f["cost"] > 0] == [], case
            assert found["segments"] == len(segments)
            assert all(t["complete"] and t["unreadable"] == 0 and t["balanced"] for t in found["transactions"] if t["kind"] == "835")


def test_lines_may_be_folded_at_any_width(build, tmp_path):
    """Also right before and behind the component separator of a later interchange, where delimiters are looked for."""
    for end in ("\n", "\r\n"):
        text = put(CASES["interchanges"], behind="").decode()
        wanted = rows_of(build, tmp_path, text.encode())
        paths = [write(tmp_path / f"folded{width}", end.join(text[i:i + width] for i in range(0, len(text), width)).encode())
                 for width in range(30, 180)]
        for path, found in zip(paths, read(build, paths)):
            assert [f for f in found["faults"] if f["cost"] > 0] == [] and found["segments"] == len(CASES["interchanges"]), path
            assert rows_of(build, tmp_path, path.read_bytes()) == wanted, path


def test_an_interchange_may_be_acknowledged_beside_its_groups(build, tmp_path):
    for segments in CASES.values():
        ta1 = ["TA1", "000000001", "250101", "1000", "A", "000"]
        found = rows_of(build, tmp_path, put(behind_each_isa(segments, ta1)))
        assert [ours(row) for row in found] == x12.claim_rows(segments)


@pytest.mark.parametrize("behind", ["", "\n", "\r\n"])
def test_an_isa_without_its_last_element_is_read(build, tmp_path, behind):
    """Nothing stands within an element then: its codes are the elements as they are."""
    content = put(CASES["groups"], behind=behind).replace(b"*:~", b"*~", 1)
    found = read(build, [write(tmp_path / "short", content)])[0]
    assert [f for f in found["faults"] if f["cost"] > 0] == [] and all(t["complete"] for t in found["transactions"])
    assert (found["segments"], len(found["transactions"])) == (len(CASES["groups"]), sum(s[0] == "ST" for s in CASES["groups"]))
    assert [row.get("source_claim_id") for row in rows_of(build, tmp_path, content)][:5] == ["C1", "C2", "C3", "C4", "C5"]


def test_what_tells_of_no_claim_of_ours_says_why(build, tmp_path):
    def whys(case):
        return [(row.get("source_claim_id"), row["why_not"].split("(")[0].strip()) for row in rows_of(build, tmp_path, put(CASES[case]))
                if "why_not" in row]
    nobody = "the payer names no claim of the hospital's"
    assert whys("835") == [(None, nobody)] and whys("277CA") == [(None, nobody)] and whys("277P") == [(None, nobody)]
    assert whys("277") == [("C1", "the payer's answer says nothing of the claim: it found none, or could not look"), (None, nobody)]
    assert whys("837") == []


def test_a_dependent_has_the_subscribers_member_number_and_no_one_elses_name(build, tmp_path):
    found = {row.get("source_claim_id"): row for row in rows_of(build, tmp_path, put(CASES["277"]))}
    assert (found["C2"]["member_id"], found["C2"]["patient_first_name"], found["C2"]["payer_claim_id"]) == ("M2", "KID", "ICN2")
    assert (found["C1"]["member_id"], found["C1"]["patient_first_name"]) == ("M1", "ANN")


# ---- what is cut or broken ----

def test_no_file_is_cut_in_silence(build, tmp_path):
    """At every byte: either it is whole, or it has a fault that costs; and the sets before the cut are as they were."""
    content = put(CASES["groups"], behind="")
    whole = read(build, [write(tmp_path / "whole", content)])[0]["transactions"]
    ends = sets_end(content)
    paths = [write(tmp_path / str(size), content[:size]) for size in range(1, len(content))]
    for size, found in enumerate(read(build, paths), 1):
        complete = sum(end <= size for end in ends)
        assert [t for t in found["transactions"] if t["complete"]] == whole[:complete], size
        if size < len(content) - 1:  # the last terminator may be left out
            assert any(fault["cost"] > 0 for fault in found["faults"]), size


def write(path, content):
    path.write_bytes(content)
    return path


def sets_end(content):
    """Where each SE has its terminator."""
    found, at = [], 0
    for segment in content.split(b"~"):
        at += len(segment) + 1
        if segment.startswith(b"SE*"):
            found.append(at)
    return found


BROKEN = { # what is replaced, by what, and what the fault says
    "SE counts one too many": (b"SE*4*", b"SE*5*", "the transaction set's segments are 4, and its end says 5"),
    "SE counts one too few": (b"SE*4*", b"SE*3*", "the transaction set's segments are 4, and its end says 3"),
    "SE counts nothing": (b"SE*4*", b"SE**", "the transaction set's segments are 4, and its end says no number"),
    "GE counts one too many": (b"GE*1*1", b"GE*2*1", "the functional group's transaction sets are 1, and its end says 2"),
    "GE counts none": (b"GE*1*1", b"GE*0*1", "the functional group's transaction sets are 1, and its end says 0"),
    "IEA counts one too many": (b"IEA*1*", b"IEA*2*", "the interchange's functional groups are 1, and its end says 2"),
    "IEA counts none": (b"IEA*1*", b"IEA*0*", "the interchange's functional groups are 1, and its end says 0"),
    "SE is another's": (b"SE*4*0001", b"SE*4*0002", "the control numbers of ST and SE differ"),
    "GE is another's": (b"GE*1*1", b"GE*1*2", "the control numbers of GS and GE differ"),
    "IEA is another's": (b"IEA*1*000000001", b"IEA*1*000000002", "the control numbers of ISA and IEA differ"),
    "garbage behind": (b"IEA*1*000000001~\n", b"IEA*1*000000001~\n%PDF-1.4", "the segment stands outside any transaction set"),
    "segments behind": (b"IEA*1*000000001~\n", b"IEA*1*000000001~\nN1*PR~", "the segment stands outside any transaction set"),
    "SE is missing": (b"SE*4*0001~\n", b"", "the transaction set before it has no SE"),
    "GE is missing": (b"GE*1*1~\n", b"", "the functional group before it has no GE"),
    "IEA is missing": (b"IEA*1*000000001~\n", b"", "the file ends before the interchange does"),
    "ST is missing": (b"ST*837*0001*005010X222A1~\n", b"", "the segment stands outside any transaction set"),
    "GS is missing": (b"GS*HC*PAYER*PROVIDER*20250110*1200*1*X*005010X222A1~\n", b"", "the transaction set begins outside any functional group"),
    "IEA before the next ISA is missing": (b"IEA*1*000000001~\n", x12.envelope("837", [["BHT*0019"]]), "the interchange before it has no IEA"),
    "IEA twice": (b"IEA*1*000000001~\n", b"IEA*1*000000001~\nIEA*1*000000001~", "an IEA ends an interchange that did not begin"),
    "GE twice": (b"GE*1*1~\n", b"GE*1*1~\nGE*1*1~", "a GE ends a functional group that did not begin"),
    "SE twice": (b"SE*4*0001~\n", b"SE*4*0001~\nSE*4*0001~", "an SE ends a transaction set that did not begin"),
    "a group behind": (b"IEA*1*000000001~\n", b"IEA*1*000000001~\nGS*HC*A*B*20250110*1200*1*X*005010X222A1~",
                       "the functional group begins outside any interchange"),
    "no terminator in sight": (b"BHT*0019~", b"BHT*" + b"0" * (300 * 1024) + b"~", "the segment is longer than is read; is its terminator there?"),
    "elements without end": (b"BHT*0019~", b"BHT" + b"*" * 500 + b"~", "the segment has more elements than any of the standard"),
    "small letters": (b"CLM*", b"clm*", "the segment's name is none"),
    "a lost terminator": (b"BHT*0019~\n", b"BHT*0019", "the transaction set's segments are 3, and its end says 4"),
    "ISA of fifteen elements": (b"*P*:~", b"*P~", "the ISA has not its sixteen elements"),
    "another's mail before it": (b"ISA*", b"From: payer\nISA*", "an interchange begins with ISA, and none does here"),
}


@pytest.mark.parametrize("character", ["\u00a6", "\u2026", "\u00a7", "\ufffd", "\U0001f4c4"])
@pytest.mark.parametrize("what", ["separator", "terminator", "component"])
def test_separators_that_were_saved_as_utf_8_are_told(build, tmp_path, what, character):
    """What was one byte is several then; one byte beyond ASCII is read."""
    recoded = put(CASES["835"], **{what: "\xff"}).replace(b"\xff", character.encode())
    for chunk in (1, 7, 65536):
        found = read(build, [write(tmp_path / "recoded", recoded)], chunk)[0]
        assert found["transactions"] == [] and [f["text"].partition(": ")[2] for f in found["faults"]] == [
            "a separator of the ISA is several bytes, for the file was saved as UTF-8 on its way; send it as it came, byte for byte"]
    for byte in ("\xa6", "\x85", "\xa7", "\xc2", "\xe2"):
        found = read(build, [write(tmp_path / "sound", put(CASES["835"], **{what: byte}))])[0]
        assert [f for f in found["faults"] if f["cost"] > 0] == [] and all(t["balanced"] for t in found["transactions"])


def test_a_repetition_separator_that_was_saved_as_utf_8_parts_nothing_that_is_read(build, tmp_path):
    content = put(CASES["835"], repetition="\xff").replace(b"\xff", "\u00a6".encode())
    found = read(build, [write(tmp_path / "recoded", content)])[0]
    assert [f for f in found["faults"] if f["cost"] > 0] == [] and all(t["balanced"] for t in found["transactions"])


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_in_a_sentence_with_its_place(build, tmp_path, what):
    sound, instead, sentence = BROKEN[what]
    content = x12.envelope("837", [["BHT*0019", "CLM*C1*1***11:B:1"]])
    assert content.count(sound) == 1
    found = read(build, [write(tmp_path / "broken", content.replace(sound, instead))])[0]
    costly = [fault["text"] for fault in found["faults"] if fault["cost"] > 0]
    assert costly and sentence in costly[0] and costly[0].startswith("segment "), costly
