"""X12 files read by a few lines of Python: what the daemon's parser is compared with.

Reads a whole file by splitting it, adds up with `decimal`; for well-formed files and those broken in known ways.
"""
import hashlib
from decimal import Decimal, InvalidOperation

ENVELOPE = ("ISA", "GS", "ST", "SE", "GE", "IEA")


def segments_of(data):
    """Every segment of the file as a list of elements; each interchange with its own delimiters."""
    text = data.decode("latin-1").removeprefix("ï»¿").strip()
    found = []
    while text.strip():
        text = text.lstrip()
        separator = text[3]
        isa = text.split(separator, 16)
        terminator = isa[16][1]
        at = sum(len(part) + 1 for part in isa[:16]) + 1
        found.append(text[:at].split(separator))
        text = text[at + 1:]
        while text and not text.lstrip().startswith("ISA" + separator):
            segment, _, text = text.partition(terminator)
            segment = segment.replace("\r", "").replace("\n", "").strip()
            if segment:
                found.append(segment.split(separator))
            if not text.strip() or segment.startswith("IEA"):
                break
    return found


def number(elements, i):
    try:
        return Decimal(elements[i]) if i < len(elements) and elements[i].strip() else Decimal(0)
    except InvalidOperation:
        return Decimal(0)


def adjustments(cas):
    return sum((number(cas, i) for i in range(3, 20, 3)), Decimal(0))


def transaction(segments):
    """What a transaction set (ST … SE) adds up to."""
    kind, control = segments[0][1], segments[0][2]
    said = segments[-1][1] if segments[-1][0] == "SE" else ""
    found = {"kind": kind, "control": control, "se_count_ok": said.isdigit() and int(said) == len(segments)}
    claims, lines, plb, check, debit = [], [], Decimal(0), Decimal(0), False
    for s in segments:
        name = s[0]
        if name == "BPR" and kind == "835":
            check, debit = number(s, 2), len(s) > 3 and s[3] == "D"
        elif name == "CLP" and kind == "835":
            claims.append({"charge": number(s, 3), "paid": number(s, 4), "reversal": s[2] == "22",
                           "adjusted": Decimal(0), "lines": []})
        elif name == "CLM" and kind == "837":
            claims.append({"charge": number(s, 2), "paid": Decimal(0), "adjusted": Decimal(0), "lines": []})
        elif name == "SVC" and kind == "835" or name in ("SV1", "SV2", "SV3") and kind == "837":
            line = {"charge": number(s, 3 if name == "SV2" else 2), "paid": number(s, 3), "adjusted": Decimal(0)}
            lines.append(line)
            claims[-1]["lines"].append(line)
        elif name == "CAS" and kind == "835":
            total = adjustments(s)
            claims[-1]["adjusted"] += total
            if claims[-1]["lines"]:
                lines[-1]["adjusted"] += total
        elif name == "PLB" and kind == "835":
            plb += sum((number(s, i) for i in range(4, 15, 2)), Decimal(0))
    paid = sum((c["paid"] for c in claims), Decimal(0))
    if debit and paid - plb == -check:  # taken back by the payer
        check = -check
    found |= {"claims": len(claims), "lines": len(lines), "charged": sum((c["charge"] for c in claims), Decimal(0)),
              "claims_whose_line_charges_differ": sum(
                  bool(c["lines"]) and sum(line["charge"] for line in c["lines"]) != c["charge"] for c in claims)}
    if kind == "835":
        out_lines = sum(line["charge"] - line["adjusted"] != line["paid"] for line in lines)
        out_claims = sum(c["charge"] - c["adjusted"] != c["paid"] for c in claims)
        found |= {"reversals": sum(c["reversal"] for c in claims), "paid": paid, "plb": plb, "check": check,
                  "lines_out_of_balance": out_lines, "claims_out_of_balance": out_claims,
                  "transaction_difference": paid - plb - check,
                  "balanced": not out_lines and not out_claims and paid - plb == check}
    return found


def summary(data):
    segments = segments_of(data)
    transactions, current = [], None
    for s in segments:
        if s[0] == "ST":
            current = [s]
        elif current is not None:
            current.append(s)
        if s[0] == "SE":
            transactions.append(transaction(current))
            current = None
    return {"interchanges": sum(s[0] == "ISA" for s in segments), "groups": sum(s[0] == "GS" for s in segments),
            "segments": len(segments), "transactions": transactions}


def adjustment_rows(segments):
    """Per claim of an 835: (claim id, [(line, group, reason, position, amount)]), read another way than the daemon does."""
    claims, line, position = [], 0, 0
    for s in segments:
        if s[0] in ("CLP", "SVC"):
            position = 0
        if s[0] == "CLP":
            claims.append((s[1].strip(), []))
            line = 0
        elif s[0] == "SVC":
            line += 1
        elif s[0] == "CAS":
            for i in range(2, min(len(s), 18), 3):
                if s[i].strip():
                    position += 1
                    claims[-1][1].append((line, s[1].strip(), s[i].strip(), position, number(s, i + 1)))
    return claims


# ---- claims, by the tree of levels and by blocks: another way than the daemon's ----

INQUIRIES = ("X212", "X213", "X228", "X093")


def parts(element, component):
    return element.split(component) if component else [element]


def at(segment, i):
    return segment[i].strip() if i < len(segment) else ""


def component(segment, i, k, separator):
    found = parts(at(segment, i), separator)
    return found[k].strip() if k < len(found) else ""


def blocks(segments, begins, ends):
    """Runs of segments that begin with one of `begins`, up to the next of either."""
    found, current = [], None
    for s in segments:
        if s[0] in begins or s[0] in ends:
            current = None
        if s[0] in begins:
            current = [s]
            found.append(current)
        elif current is not None:
            current.append(s)
    return found


def levels(segments):
    """{HL01: (parent, code, its own segments)}; claims stand within the level's segments."""
    found = {}
    for block in blocks(segments, ("HL",), ("SE",)):
        found[at(block[0], 1)] = (at(block[0], 2), at(block[0], 3), block[1:])
    return found


def above(tree, number, code):
    """The level's segments, or those of the nearest above it, of this code."""
    while number in tree:
        parent, found, segments = tree[number]
        if found == code:
            return segments
        number = parent
    return []


def named(segments, role, i):
    """Element i of the first NM1 of this role before any claim begins."""
    for s in segments:
        if s[0] in ("CLM", "TRN"):
            break
        if s[0] == "NM1" and at(s, 1) == role:
            return at(s, i)
    return ""


def claims_sent(segments, separator):
    tree = levels(segments)
    for number, (_, code, own) in tree.items():
        provider, subscriber = above(tree, number, "20"), above(tree, number, "22")
        patient = named(own, "QC", 3) if code == "23" else named(subscriber, "IL", 3)
        for block in blocks(own, ("CLM",), ()):
            clm = block[0]
            lines = [(component(s, 2 if s[0] == "SV2" else 1, 1, separator), number_of(s, 3 if s[0] == "SV2" else 2))
                     for s in block if s[0] in ("SV1", "SV2", "SV3")]
            yield {"kind": "claim", "id": at(clm, 1), "amount": number_of(clm, 2), "frequency": component(clm, 5, 2, separator),
                   "billing": named(provider, "85", 9), "member": named(subscriber, "IL", 9), "payer": named(subscriber, "PR", 9),
                   "patient": patient, "lines": lines}


def number_of(segment, i):
    return Decimal(at(segment, i) or "0")


def remittances(segments, separator):
    check = next((at(s, 2) for s in segments if s[0] == "TRN"), "")
    payer = next((at(s, 2) for s in segments if s[0] == "N1" and at(s, 1) == "PR"), "")
    for block in blocks(segments, ("CLP",), ("LX", "PLB", "SE")):
        clp, code = block[0], at(block[0], 2)
        sign = -1 if code == "22" else 1
        yield {"kind": "remittance", "id": at(clp, 1) if at(clp, 1) != "0" else "", "amount": sign * number_of(clp, 3),
               "paid": number_of(clp, 4) if sign > 0 else Decimal(0), "code": code, "check": check, "payer": payer,
               "lines": [(component(s, 1, 1, separator), number_of(s, 2)) for s in block if s[0] == "SVC"],
               "adjustments": adjustment_rows(block)[0][1]}


def statuses(segments, separator, version):
    inquiry = version[6:10] in INQUIRIES
    for number, (_, code, own) in levels(segments).items():
        for block in blocks(own, ("TRN",), ()) if code in ("PT", "22", "23") else ():
            trn = block[0]
            if at(trn, 1) not in ("1", "2"):
                continue
            given = next((at(s, 2) for s in block if s[0] == "REF" and at(s, 1) == "EJ"), "")
            claim = given or ("" if inquiry or at(trn, 1) == "1" else at(trn, 2))
            stc = next((s for s in block if s[0] == "STC"), ["STC"])
            yield {"kind": "status", "id": claim if claim != "0" else "", "status": ":".join(parts(at(stc, 1), separator)),
                   "lines": [(component(s, 1, 1, separator), number_of(s, 2)) for s in block if s[0] == "SVC"]}


def claim_rows(segments):
    """Every claim of the file, whatever set it stands in."""
    found, current, separator, version = [], None, ":", ""
    for s in segments:
        if s[0] == "ISA":
            separator = s[16].strip()[:1]
        if s[0] == "GS":
            version = at(s, 8)
        if s[0] == "ST":
            current = []
        if current is not None:
            current.append(s)
        if s[0] == "SE":
            kind, said = at(current[0], 1), at(current[0], 3) or version
            found += {"837": lambda c: list(claims_sent(c, separator)), "835": lambda c: list(remittances(c, separator)),
                      "277": lambda c, v=said: list(statuses(c, separator, v))}.get(kind, lambda c: [])(current)
            current = None
    return found


def envelope(kind, sets, group="1", made="20250110", time="1200", version=None, interchange="000000001", sender="PAYER",
             receiver="PROVIDER"):
    """An interchange of one group around these transaction sets, each a list of segments without ST and SE."""
    functional, default = {"835": ("HP", "005010X221A1"), "837": ("HC", "005010X222A1"), "277": ("HN", "005010X214"),
                           "999": ("FA", "005010X231A1"), "997": ("FA", "005010")}[kind]
    version = version or default
    out = [f"ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROVIDER       *250110*1200*^*00501*{interchange}*0*P*:",
           f"GS*{functional}*{sender}*{receiver}*{made}*{time}*{group}*X*{version}"]
    for control, segments in enumerate(sets, 1):
        out += [f"ST*{kind}*{control:04}*{version}", *segments, f"SE*{len(segments) + 2}*{control:04}"]
    out += [f"GE*{len(sets)}*{group}", f"IEA*1*{interchange}"]
    return "".join(segment + "~\n" for segment in out).encode()


def remittance(claims, check=None, plb=(), payer="GOOD HEALTH", day="20250110", number=None, payer_id="1512345678"):
    """Segments of an 835: claims are lists of segments that begin with their CLP. Each has a check number of its own, by
    what it tells, unless one is given."""
    number = number or "C" + hashlib.sha256(repr((claims, check, plb, payer, day)).encode()).hexdigest()[:12]
    paid = sum(Decimal(claim[0].split("*")[4]) for claim in claims)
    taken = sum(Decimal(amount) for p in plb for amount in p.split("*")[4::2])
    return [f"BPR*I*{paid - taken if check is None else check}*C*ACH************{day}", f"TRN*1*{number}*{payer_id}",
            f"DTM*405*{day}", f"N1*PR*{payer}", "N1*PE*HOSPITAL*XX*1234567893", "LX*1",
            *[segment for claim in claims for segment in claim], *plb]
