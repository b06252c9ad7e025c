"""X12 files: from the drop directory to claims, adjustments and quarantine, with PostgreSQL alone."""
import contextlib
import gzip
import io
import itertools
import json
import random
import re
import signal
import zipfile
from decimal import Decimal

import jsonschema
import pytest

from harness import dump, jobs, x12
from harness.desk import CSV, Desk, claim


@pytest.fixture
def make_desk(postgres, schema_template, database_name, tmp_path, binary):
    made = []

    def make(**options):
        number = len(made)
        database = postgres.create_database(f"{database_name[:40]}_{number}", schema_template)
        made.append(Desk(postgres, database, str(tmp_path / f"desk{number}"), binary, **options))
        return made[-1]
    yield make
    for desk in made:
        postgres.drop_database(desk.database)


@pytest.fixture
def desk(make_desk):
    return make_desk()


def remit(*claims, made="20250110", time="1200", group="1", **options):
    return x12.envelope("835", [x12.remittance([list(claim) for claim in claims], **options)], made=made, time=time, group=group)


PAID = ["CLP*C1*1*100*70*10*MC*ICN1", "DTM*232*20250102", "SVC*HC:99213*60*50", "CAS*CO*45*10", "LQ*HE*N130",
        "SVC*HC:85025*40*20", "CAS*PR*1*10", "CAS*CO*45*10"]
DENIED = ["CLP*C2*4*80*0**MC*ICN2", "SVC*HC:99214*80*0", "CAS*CO*29*80", "LQ*HE*N211"]


def test_a_remittance_posts_payments_and_adjustments_to_the_claims(desk):
    desk.put("hospital1_1.csv", CSV + claim("C1") + claim("C2", amount="80.00") + claim("C3"))
    desk.once()
    desk.put("a_1.835", remit(PAID, DENIED))
    desk.once()
    assert desk.claims() == [
        ("C1", 1, False, "Pending", "100.00", "0.00", None), ("C1", 2, True, "Paid", "100.00", "70.00", "remittance"),
        ("C2", 1, False, "Pending", "80.00", "0.00", None), ("C2", 2, True, "Denied", "80.00", "0.00", "remittance"),
        ("C3", 1, True, "Pending", "100.00", "0.00", None)]
    assert desk.adjustments() == [
        ("C1", 2, 1, "CO", "45", 1, "10.00", "N130"), ("C1", 2, 2, "PR", "1", 1, "10.00", None),
        ("C1", 2, 2, "CO", "45", 2, "10.00", None), ("C2", 2, 1, "CO", "29", 1, "80.00", "N211")]
    assert desk.rows("SELECT source_patient_id, source_transaction_id, claim_date::text, decision_date::text, deductible::text, "
                     "payment_status, inherited FROM silver.claims WHERE source_claim_id = 'C1' AND is_final") == [
        ("PC1", "TC1", "2025-01-05", "2025-01-10", "10.00", "Partial",
         "claim_date,source_patient_id,source_payer_id,source_transaction_id")]
    assert desk.rows("SELECT count(*) FROM gold.fact_adjustments a JOIN gold.fact_claims c USING (claim_key) "
                     "WHERE a.claim_date = c.claim_date") == [(4,)]
    assert desk.rows("SELECT state, claims, service_lines, paid::text, check_amount::text, difference::text FROM ops.x12_set") == \
        [("posted", 2, 3, "70.00", "70.00", "0.00")]


def test_the_same_file_twice_changes_nothing(desk):
    desk.put("a_1.835", remit(PAID, DENIED))
    desk.once()
    before = desk.dump(dump.KILL)
    desk.put("a_again.835", remit(PAID, DENIED))
    desk.once()
    after = desk.dump(dump.KILL)
    assert desk.file("a_again.835")["state"] == "duplicate"
    assert {k: v for k, v in after.items() if "file" not in k} == {k: v for k, v in before.items() if "file" not in k}
    assert desk.rows("SELECT count(*) FROM ops.x12_set") == [(1,)]


def again(content, before, segment):
    """With `before`, a whole segment's beginning, said in front of the segment, and counted."""
    at = content.index(segment)
    end = content.index(b"\n", at) + 1
    count = int(content.split(b"SE*")[1].split(b"*")[0])
    return (content[:at] + content[at:end].replace(segment, before) + content[at:]).replace(b"SE*%d*" % count, b"SE*%d*" % (count + 1))


UNSOUND = [ # (claim's file, rule, its sentence, the transaction's difference)
    (remit(["CLP*U0*1*100*70**MC*I", "CAS*CO*45*30"], check="75"), "remittance_unbalanced",
     "the remittance's claims less its provider adjustments are 5.00 below its payment", "-5.00"),
    (remit(["CLP*U1*1*80*10**MC*I", "CAS*CO*45*60"]), "remittance_unbalanced",
     "0 service lines and 1 claims of the remittance do not add up, the first (segment 10) by 10.00; its transaction differs by 0.00",
     "0.00"),
    (remit(["CLP*U2*1*100*70**MC*I", "SVC*HC:99213*100*60", "CAS*CO*45*30"]), "remittance_unbalanced",
     "1 service lines and 0 claims of the remittance do not add up, the first (segment 11) by 10.00; its transaction differs by 0.00",
     "0.00"),
    (remit(["CLP*U3*1*1OO*70**MC*I", "CAS*CO*45*30"]), "remittance_unbalanced",
     "segment 10: CLP03 is no amount (digits, a point before cents, a minus in front); "
     "1 amounts of the remittance cannot be read, so it does not add up", "0.00"),
    (remit(["CLP*U4*1*100*70**MC*I", "CAS*CO*45*30"]).replace(b"SE*10*", b"SE*19*"), "x12_envelope",
     "segment 12, line 12, byte {byte}: the transaction set's segments are 10, and its end says 19", "0.00"),
    (remit(["CLP*U5*1*100*70**MC*I", "CAS*CO*45*30"]).replace(b"SE*10*0001", b"SE*10*0002"), "x12_envelope",
     "segment 12, line 12, byte {byte}: the control numbers of ST and SE differ", "0.00"),
    (remit(["CLP*U6*1*100*70**MC*I", "CAS*CO**30"]), "remittance_unbalanced",
     "segment 11: CAS03 has no reason before it; 1 amounts of the remittance cannot be read, so it does not add up", "0.00"),
    (remit(["CLP*U7*1*100*70**MC*I", "CAS*CO*45*30.005"]), "remittance_unbalanced",
     "segment 11: CAS03 has a fraction of a cent; 1 amounts of the remittance cannot be read, so it does not add up", "0.00"),
    # what stands behind it adds up with the claim, and alone, and the claim does not have it
    (remit(["CLP*U8*1*100*70**MC*I", "LX*2", "CAS*CO*45*30"]), "x12_order",
     "segment 12: a segment CAS stands outside any claim, so nobody knows whose its amounts are", "0.00"),
    (remit(["CLP*U9*1*100*70**MC*I", "CAS*CO*45*30", "TS3*1*11*20251231*1*100", "SVC*HC:99213*100*100"]), "x12_order",
     "segment 13: a segment SVC stands outside any claim, so nobody knows whose its amounts are", "0.00"),
    (again(remit(["CLP*UA*1*100*70**MC*I", "CAS*CO*45*30"]), b"BPR*I*5*", b"BPR*I*70*"), "x12_order",
     "segment 5: a segment BPR stands outside the one place that its set has for it, so nobody knows whose its amounts are", "0.00"),
]
UNSOUND = [(content, rule, sentence.format(byte=content.index(b"SE*")), difference) for content, rule, sentence, difference in UNSOUND]


def test_a_remittance_that_does_not_add_up_posts_nothing(desk):
    desk.put("hospital1_1.csv", CSV + "".join(claim(f"U{i:X}") for i in range(len(UNSOUND))))
    for i, (content, *_) in enumerate(UNSOUND):
        desk.put(f"a_{i}.835", content)
    desk.once()
    assert [row[:4] for row in desk.claims()] == [(f"U{i:X}", 1, True, "Pending") for i in range(len(UNSOUND))]
    assert desk.adjustments() == []
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason, state FROM dq.quarantine ORDER BY 1") == [
        (f"U{i:X}", rule, sentence, "open") for i, (_, rule, sentence, _) in enumerate(UNSOUND)]
    for i, (_, _, sentence, difference) in enumerate(UNSOUND):
        report = desk.file(f"a_{i}.835")
        assert report["state"] == "done" and report["rows_quarantined"] == 1 and sentence in report["error"]
        assert desk.rows("SELECT s.state, s.difference::text FROM ops.x12_set s JOIN ops.file f USING (file_id) "
                         f"WHERE f.name = 'a_{i}.835'") == [("quarantined", difference)]


def test_what_stands_outside_any_claim_and_says_no_amount_is_told(desk):
    desk.put("a_1.835", remit(["CLP*C1*1*100*70**MC*I", "CAS*CO*45*30", "LX*2", "DTM*232*20250102"]))
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"] and desk.rows("SELECT service_date FROM silver.claims") == [(None,)]
    assert (desk.file("a_1.835")["state"], desk.file("a_1.835")["error"]) == \
        ("done", "segment 13: a segment DTM stands outside any claim, and was not read")


def test_an_amount_of_a_claim_that_was_sent_is_read_as_the_guides_have_it(desk):
    """A cleaner reads 1E2, $5 and 10.005: the set added up none of them."""
    amounts = ["1E2", "$5", "10.005", "10.500"]
    claims = [f"CLM*D{i}*{amount}***11:B:1*Y*A*Y*Y" for i, amount in enumerate(amounts)]
    desk.put("a_1.837", x12.envelope("837", [["BHT*0019*00*1*20250105*0900*CH", "HL*1**22*0", *claims]]))
    desk.once()
    assert desk.rows("SELECT source_claim_id, claim_amount::text FROM silver.claims") == [("D3", "10.50")]
    assert desk.rows("SELECT charged::text FROM ops.x12_set") == [("10.50",)]
    bad = "is no amount (digits, a point before cents, a minus in front)"
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason FROM dq.quarantine ORDER BY 1") == [
        (f"D{i}", "x12_amount", f"segment {6 + i}: CLM02 {what}") for i, what in enumerate([bad, bad, "has a fraction of a cent"])]


def test_a_reversal_that_does_not_negate_what_it_reverses_is_held(desk):
    """As a payment it would be posted twice, its adjustments too, and the claim would cost less than nothing; the others are posted."""
    desk.put("a_1.835", remit(["CLP*R1*1*100*70**MC*I", "CAS*CO*45*30"], ["CLP*R2*1*50*50**MC*I"]))
    desk.put("a_2.835", remit(["CLP*R1*22*100*70**MC*I", "CAS*CO*45*30"], ["CLP*R2*22*-50*-50**MC*I"], time="1300"))
    desk.once()
    reason = "segment 10: CLP03 is above nothing, and a reversal (CLP02 = 22) has the amounts that it takes back with a minus in front"
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason, state FROM dq.quarantine") == [("R1", "x12_amount", reason, "open")]
    assert desk.rows("SELECT source_claim_id, claim_status, claim_amount::text, paid_amount::text FROM silver.claims WHERE is_final "
                     "ORDER BY 1") == [("R1", "Paid", "100.00", "70.00"), ("R2", "Reversed", "50.00", "0.00")]
    assert desk.rows("SELECT sum(amount)::text FROM gold.fact_adjustments") == [("30.00",)]
    assert desk.rows("SELECT state, claims, reversals FROM ops.x12_set ORDER BY paid DESC") == [("posted", 2, 0), ("posted", 2, 2)]


def test_the_report_beside_an_x12_file_counts_segments_not_lines(desk):
    """The whole file is one line."""
    content = remit(PAID, ["CLP*0*1*5*5**MC*I"]).replace(b"\n", b"")
    desk.put("a_1.835", content)
    desk.once()
    text, told = desk.report("a_1.835", "txt"), json.loads(desk.report("a_1.835", "json"))
    segment = next(i for i, s in enumerate(content.split(b"~"), 1) if s.startswith(b"CLP*0"))
    reason = "the payer names no claim of the hospital's (CLP01 is empty or 0)"
    assert "rows read 2, new 1, corrected 0, same 0, flagged 0, quarantined 1\nrule x12_claim: 1\n" \
           f"segment {segment}: {reason} (x12_claim)\n" in text
    assert (told["quarantined"], told["quarantined_by_rule"]) == ([{"line": segment, "rule": "x12_claim", "reason": reason}], {"x12_claim": 1})


def test_a_mended_mapping_does_not_post_what_does_not_add_up(desk):
    desk.put("a_1.835", remit(PAID))
    desk.put("a_2.835", UNSOUND[0][0])
    desk.once()
    with open(desk.daemon.config, encoding="utf-8") as file:
        config = file.read()
    with open(desk.daemon.config, "w", encoding="utf-8") as file:
        file.write(config + "    map: { source_claim_id: source_claim_id, claim_status: claim_status, claim_amount: claim_amount, "
                   "paid_amount: paid_amount, delivery_kind: delivery_kind, source_modified_at: source_modified_at }\n")
    desk.once()
    desk.once()
    assert desk.rows("SELECT source_claim_id, payer_claim_id FROM silver.claims") == [("C1", None)]  # cleaned again
    assert desk.adjustments() == []  # the new map has none
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, state FROM dq.quarantine") == [("U0", "remittance_unbalanced", "open")]


def test_an_unbalanced_set_leaves_the_others_of_its_file_alone(desk):
    sets = [x12.remittance([PAID], plb=["PLB*1234567893*20251231*L6*-2"]),
            x12.remittance([DENIED], check="1", plb=["PLB*1234567893*20251231*WO:C9*5"]), x12.remittance([["CLP*C3*1*5*5**MC*I"]])]
    desk.put("a_1.835", x12.envelope("835", sets))
    desk.once()
    assert provider_adjustments(desk) == [("hospital_a", "L6", "-2.00")]
    assert [row[0] for row in desk.claims()] == ["C1", "C3"]
    assert desk.rows("SELECT set_number, state FROM ops.x12_set ORDER BY 1") == [(1, "posted"), (2, "quarantined"), (3, "posted")]
    assert "1 of 3 transaction sets went to quarantine; number 2" in desk.file("a_1.835")["error"]


TAKEN = ["CLP*D{}*22*-100*-70**MC*I", "CAS*CO*45*-30"]
GIVEN = ["CLP*D{}*1*100*70**MC*I", "CAS*CO*45*30"]
# what its claims come to, BPR02, BPR03 -> what became of the set, its payment and its difference
DEBITS = [(TAKEN, "70", "D", "posted", "-70.00", "0.00"), (GIVEN, "70", "D", "posted", "70.00", "0.00"),
          (TAKEN, "70", "C", "quarantined", "70.00", "-140.00"), (TAKEN, "60", "D", "quarantined", "60.00", "-130.00"),
          (GIVEN, "60", "D", "quarantined", "60.00", "10.00"), (TAKEN, "-70", "C", "posted", "-70.00", "0.00")]


def test_what_a_payer_takes_back_by_a_debit_is_posted_and_another_sum_is_not(desk):
    for i, (claim_segments, amount, flag, *_) in enumerate(DEBITS):
        content = remit([segment.format(i) for segment in claim_segments], check=amount)
        desk.put(f"a_{i}.835", content.replace(f"BPR*I*{amount}*C*".encode(), f"BPR*I*{amount}*{flag}*".encode()))
    desk.once()
    assert desk.rows("SELECT s.state, s.check_amount::text, s.difference::text FROM ops.x12_set s JOIN ops.file f USING (file_id) "
                     "ORDER BY f.name") == [tuple(expected) for _, _, _, *expected in DEBITS]
    assert desk.rows("SELECT source_claim_id, claim_status, paid_amount::text FROM silver.claims ORDER BY 1") == \
        [(f"D{i}", *(("Paid", "70.00") if of is GIVEN else ("Reversed", "0.00")))
         for i, (of, _, _, state, *_) in enumerate(DEBITS) if state == "posted"]


def test_a_reversal_cancels_and_a_correction_counts(desk):
    desk.put("hospital1_1.csv", CSV + claim("C1"))
    desk.put("a_1.835", remit(PAID))
    reversal = ["CLP*C1*22*-100*-70**MC*ICN1", "SVC*HC:99213*-60*-50", "CAS*CO*45*-10", "SVC*HC:85025*-40*-20", "CAS*PR*1*-10",
                "CAS*CO*45*-10"]
    correction = ["CLP*C1*1*100*90**MC*ICN9", "SVC*HC:99213*60*60", "SVC*HC:85025*40*30", "CAS*CO*45*10"]
    desk.put("a_2.835", remit(reversal, correction, made="20250201"))
    desk.once()
    assert [row[1:6] for row in desk.claims("C1")] == [
        (1, False, "Pending", "100.00", "0.00"), (2, False, "Paid", "100.00", "70.00"),
        (3, False, "Reversed", "100.00", "0.00"), (4, True, "Paid", "100.00", "90.00")]
    net = desk.rows("SELECT group_code, reason_code, sum(amount)::text FROM silver.adjustments GROUP BY 1, 2 ORDER BY 1, 2")
    assert net == [("CO", "45", "10.00"), ("PR", "1", "0.00")]
    assert desk.rows("SELECT claims, reversals FROM ops.x12_set ORDER BY made_at") == [(1, 0), (2, 1)]


def test_what_concerns_no_claim_is_kept(desk):
    desk.put("a_1.835", remit(PAID, plb=["PLB*1234567893*20251231*FB:LAST*12.5*WO:C9*-2.5"]))
    desk.put("a_2.835", x12.envelope("835", [x12.remittance([], plb=["PLB*1234567893*20251231*L6*-3"])]))
    desk.once()
    assert desk.rows("SELECT provider_id, fiscal_period_end::text, reason_code, reference, amount::text, position "
                     "FROM ops.x12_provider_adjustment ORDER BY file_id, position") == [
        ("1234567893", "2025-12-31", "FB", "LAST", "12.50", 1), ("1234567893", "2025-12-31", "WO", "C9", "-2.50", 2),
        ("1234567893", "2025-12-31", "L6", "", "-3.00", 1)]
    assert desk.rows("SELECT state, claims FROM ops.x12_set ORDER BY file_id") == [("posted", 1), ("posted", 0)]
    desk.put("a_3.835", remit(*[[f"CLP*N{i}*1*999999999999.99*999999999999.99"] for i in range(3)], check="1"))
    desk.once()
    assert desk.rows("SELECT claims, paid::text FROM ops.x12_set WHERE state = 'quarantined'") == [(3, "2999999999999.97")]
    assert desk.file("a_2.835")["state"] == "done"


def test_all_six_places_of_a_plb_are_kept(desk):
    desk.put("a_1.835", remit(PAID, plb=["PLB*1234567893*20251231*CS*1*FB*2*L6*3*72:R*4*WO*5*J1*6"]))
    desk.once()
    assert desk.rows("SELECT reason_code, reference, amount::int, position FROM ops.x12_provider_adjustment ORDER BY position") == [
        (reason, "R" if n == 4 else "", n, n) for n, reason in enumerate(("CS", "FB", "L6", "72", "WO", "J1"), 1)]
    assert desk.rows("SELECT provider_adjusted::int, check_amount::int FROM ops.x12_set") == [(21, 49)]


def claims_out(made="20250105", group="77", time="1200", **options):
    return x12.envelope("837", [["BHT*0019*00*1*20250105*0900*CH", "HL*1**20*1", "NM1*85*2*CLINIC*****XX*1111111112",
                                 "HL*2*1*22*0", "SBR*P*18*******CI", "NM1*IL*1*ONE*ANN****MI*M1", "NM1*PR*2*PAYER A*****PI*PA",
                                 "CLM*C1*100***11:B:1*Y*A*Y*Y", "REF*EA*MRN1", "LX*1", "SV1*HC:99213*60*UN*1",
                                 "DTP*472*D8*20250102", "LX*2", "SV1*HC:85025*40*UN*1", "DTP*472*D8*20250102"]],
                        made=made, group=group, time=time, **options)


def test_a_segment_whose_name_cannot_be_read_may_have_begun_a_claim(desk):
    """An 837 has no balances that would tell: the second claim's lines would be the first one's."""
    second = b"\xc2\xa0CLM*C2*40***11:B:1*Y*A*Y*Y~\nLX*1~"
    desk.put("a_1.837", claims_out().replace(b"LX*2~", second).replace(b"SE*17*", b"SE*18*"))
    desk.once()
    assert desk.claims() == []
    assert [row[0] for row in desk.rows("SELECT rule FROM dq.quarantine")] == ["x12_envelope"]
    assert "the segment's name is none" in desk.file("a_1.837")["error"]


def status(category, made, amount="100", time="1200"):
    return x12.envelope("277", [["BHT*0085*08*1*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "HL*2*1*PT",
                                 "TRN*2*C1", f"STC*{category}*20250106*WQ*{amount}", "REF*1K*ICN1"]], made=made, time=time)


def acknowledgement(code, made="20250106", group="77", **options):
    return x12.envelope("999", [[f"AK1*HC*{group}*005010X222A1", "AK2*837*0001*005010X222A1", f"IK5*{code}",
                                 f"AK9*{code}*1*1*1"]], made=made, **options)


def test_a_claim_goes_out_is_acknowledged_rejected_sent_again_and_paid(desk):
    desk.put("a_1.837", claims_out())
    desk.put("a_2.999", acknowledgement("A"))
    desk.put("a_3.277", status("A3:21", "20250107"))
    desk.once()
    assert desk.claims() == [("C1", 1, False, "Pending", "100.00", None, "claim"), ("C1", 2, True, "Rejected", "100.00", None, "status")]
    assert desk.rows("SELECT iteration, acknowledgement FROM gold.claim_acknowledgements") == [(1, "Accepted")]
    desk.put("a_4.837", claims_out("20250108", "78"))
    desk.put("a_5.999", acknowledgement("R", "20250109", "78"))
    desk.put("a_6.835", remit(PAID))
    desk.once()
    assert [row[1:4] for row in desk.claims()] == [(1, False, "Pending"), (2, False, "Rejected"), (3, False, "Pending"), (4, True, "Paid")]
    assert desk.rows("SELECT iteration, acknowledgement FROM gold.claim_acknowledgements ORDER BY 1") == [(1, "Accepted"), (3, "Rejected")]
    assert desk.rows("SELECT source_patient_id, source_payer_id, service_date::text, claim_date::text, inherited FROM silver.claims "
                     "WHERE is_final") == [("MRN1", "PA", "2025-01-02", "2025-01-05", "claim_date,source_patient_id,source_payer_id")]


FILES = {
    "hospital1_1.csv": CSV + claim("C1") + claim("C2", amount="80.00"),
    "a_1.837": claims_out("20250106"),
    "a_2.277": status("A2:20", "20250107"),
    "a_3.835": remit(PAID, DENIED),
    "a_4.835": remit(["CLP*C1*22*-100*-70**MC*ICN1", "SVC*HC:99213*-60*-50", "CAS*CO*45*-10", "SVC*HC:85025*-40*-20", "CAS*PR*1*-10",
                      "CAS*CO*45*-10"], ["CLP*C1*1*100*90**MC*ICN9", "CAS*CO*45*10"], made="20250201"),
    "a_5.835": remit(["CLP*C1*1*100*70*10*MC*ICN1", "DTM*232*20250102", "CAS*CO*45*30"], made="20250115"),
}


def state_after(desk, order):
    """Between files everything is settled."""
    for name in order:
        desk.put(name, FILES[name])
        desk.once()
    assert desk.claims("C1")[-1][2:6] == (True, "Paid", "100.00", "90.00")
    return {name: rows for name, rows in desk.dump().items() if name.startswith(("silver.", "gold."))}


def test_files_in_any_order_end_in_the_same_state(make_desk):
    assert state_after(make_desk(), reversed(FILES)) == state_after(make_desk(), FILES)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6))
def test_files_in_a_shuffled_order_end_in_the_same_state(make_desk, seed):
    order = random.Random(seed).sample(list(FILES), len(FILES))
    assert state_after(make_desk(), order) == state_after(make_desk(), FILES), order


# ---- the order across clocks ----

CLOCKS = { # one claim's life per list, in its true order: (name, content); and how its claims end
    # hospital in Chicago, payer in Los Angeles, whose clock nobody declared: what it says is earlier than what it answers
    "the same day": ([("a_1.837", claims_out("20250105", time="1500")), ("a_2.277", status("A3:21", "20250105", time="1310"))],
                     ["Pending", "Rejected"]),
    "over midnight": ([("a_1.837", claims_out("20250106", time="0015")), ("a_2.277", status("A3:21", "20250105", time="2220")),
                       ("a_3.835", remit(PAID, made="20250106", time="0001"))], ["Pending", "Rejected", "Paid"]),
    "all at noon": ([("a_1.837", claims_out("20250105")), ("a_2.277", status("A3:21", "20250105")),
                     ("a_3.835", remit(PAID, made="20250105"))], ["Pending", "Rejected", "Paid"]),
    # sent again on the day after the refusal
    "sent again": ([("a_1.837", claims_out("20250105", time="1500")), ("a_2.277", status("A3:21", "20250105", time="1310")),
                    ("a_3.837", claims_out("20250106", "78", time="0900"))], ["Pending", "Rejected", "Pending"]),
    # where the clock is declared the minute counts: refused at 10:30 and sent again at 11:00 in Chicago
    "declared": ([("a_1.837", claims_out("20250105", time="0900")), ("west_2.277", status("A3:21", "20250105", time="0830")),
                  ("a_3.837", claims_out("20250105", "78", time="1100"))], ["Pending", "Rejected", "Pending"]),
    "declared, at one instant": ([("a_1.837", claims_out("20250105", time="1200")),
                                  ("west_2.277", status("A3:21", "20250105", time="1000")),
                                  ("west_3.835", remit(PAID, made="20250105", time="1000"))], ["Pending", "Rejected", "Paid"]),
}


@pytest.mark.parametrize("life", CLOCKS)
def test_an_answer_follows_what_it_answers_whatever_its_clock_says(make_desk, life):
    """However they come, one by one or all at once, the end is the same."""
    files, words = CLOCKS[life]
    states = []
    for order in (files, files[::-1]):  # every order: test_iteration.c
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[3] for row in desk.claims("C1")] == words, [name for name, _ in order]
        states.append(desk.dump())
    desk = make_desk()
    for name, content in files:
        desk.put(name, content)
    desk.once()
    for state in [*states[1:], desk.dump()]:
        dump.assert_equal(states[0], state)


# ---- what an answer names ----

def answering(reference, made, category="A3:21", claim_id="C1"):
    """A 277CA of a set of claims, by what its sender called it (BHT03)."""
    return x12.envelope("277", [["BHT*0085*08*OWN*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "HL*2*1*21*1",
                                 "NM1*41*2*HOSP*****46*H", f"TRN*2*{reference}", "HL*3*2*19*1", "HL*4*3*PT", f"TRN*2*{claim_id}",
                                 f"STC*{category}*20250106*U*100"]], made=made)


def sent_as(reference, made, group):
    return claims_out(made, group).replace(b"BHT*0019*00*1*", f"BHT*0019*00*{reference}*".encode())


def test_a_refusal_that_comes_late_refuses_the_set_it_names(make_desk):
    """Sent, sent again on the 8th, accepted; the refusal of the first set is dated the 12th, and the first set's file comes last."""
    files = [("a_1.277", answering("SET1", "20250112")), ("a_2.837", sent_as("SET2", "20250108", "78")),
             ("a_3.277", answering("SET2", "20250109", "A2:20")), ("a_4.837", sent_as("SET1", "20250105", "77"))]
    states = []
    for order in (files, files[::-1], [files[i] for i in (1, 3, 2, 0)]):
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[1:4] for row in desk.claims("C1")] == [(1, False, "Pending"), (2, False, "Rejected"), (3, True, "Pending")]
        states.append(desk.dump())
    for state in states[1:]:
        dump.assert_equal(states[0], state)
    desk = make_desk()  # what names no set that was sent goes by its day
    for name, content in files[1:] + [("a_9.277", answering("SET9", "20250112"))]:
        desk.put(name, content)
    desk.once()
    assert [row[1:4] for row in desk.claims("C1")] == [(1, False, "Pending"), (2, True, "Rejected")]


LIFE = [("a_1.837", sent_as("SET1", "20250105", "77")), ("a_2.999", acknowledgement("A")), ("a_3.277", answering("SET1", "20250107", "A2:20")),
        ("a_4.835", remit(PAID))]


def assert_life_in(make_desk, orders):
    states = []
    for order in orders:
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[1:4] for row in desk.claims("C1")] == [(1, False, "Pending"), (2, True, "Paid")]
        assert desk.rows("SELECT iteration, acknowledgement FROM gold.claim_acknowledgements") == [(1, "Accepted")]
        states.append(desk.dump())
    for state in states[1:]:
        dump.assert_equal(states[0], state)


def test_claim_acknowledgements_and_payment_in_whichever_order_end_in_the_same_state(make_desk):
    orders = [*itertools.permutations(LIFE)]
    assert_life_in(make_desk, [orders[i] for i in (0, 9, 23)])


@pytest.mark.nightly
def test_claim_acknowledgements_and_payment_in_every_order_end_in_the_same_state(make_desk):
    assert_life_in(make_desk, itertools.permutations(LIFE))


def interchange_answer(code, note="000", control="000000077", made="250105*1200", day="250106", sent_with=b""):
    """A file that holds no more than a TA1, about the interchange of that number and time."""
    isa = f"ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROVIDER       *{day}*0900*^*00501*000000901*0*P*:~\n"
    return f"{isa}TA1*{control}*{made}*{code}*{note}~\n".encode() + sent_with + b"IEA*0*000000901~\n"


def sent_on(day, control, group):
    return claims_out(f"20{day}", group, interchange=control).replace(b"*250110*1200*^", f"*{day}*1200*^".encode())


SAID = "SELECT c.source_claim_id, a.code, a.acknowledgement FROM gold.claim_acknowledgements a JOIN silver.claims c USING (claim_key) ORDER BY 1, 2"


def test_a_file_that_holds_an_interchange_acknowledgement_alone_is_taken_as_one(desk):
    desk.put("a_1.837", sent_on("250105", "000000077", "77"))
    desk.put("a_2.ta1", interchange_answer("R", "025"))
    desk.put("a_3.ta1", interchange_answer("A", control="000000078"))  # of an interchange that is not here
    desk.once()
    for name in ("a_2.ta1", "a_3.ta1"):
        file = desk.file(name)
        assert (file["state"], file["error"], file["rows_read"], file["rows_quarantined"]) == ("done", None, 0, 0)
    assert desk.rows("SELECT interchange_control, interchange_made, code, note_code, acknowledgement, answered_at IS NOT NULL "
                     "FROM ops.x12_interchange_acknowledgement ORDER BY 1") == [
        ("000000077", "250105 1200", "R", "025", "Rejected", True), ("000000078", "250105 1200", "A", "000", "Accepted", True)]
    assert {line[1:] for line in desk.rows(SAID)} == {("R", "Rejected")}
    desk.put("a_4.ta1", interchange_answer("E", "001", day="250107"))  # said anew
    desk.once()
    assert {line[1:] for line in desk.rows(SAID)} == {("E", "Accepted with errors")}
    desk.put("a_5.999", acknowledgement("A"))  # of the group itself: it knows better
    desk.once()
    assert {line[1:] for line in desk.rows(SAID)} == {("A", "Accepted")}
    desk.put("a_6.837", sent_on("250108", "000000077", "79"))  # the number used once more is not the same interchange
    desk.once()
    assert ("A", "Accepted") in {line[1:] for line in desk.rows(SAID)}
    assert not {line[1:] for line in desk.rows(SAID)} & {("E", "Accepted with errors"), ("R", "Rejected")}


def test_claims_from_before_interchanges_were_noted_are_acknowledged_when_their_file_is_read_again(desk):
    desk.put("a_1.837", sent_on("250105", "000000077", "77"))
    desk.put("a_2.ta1", interchange_answer("R", "025"))
    desk.once()
    said = desk.rows(SAID)
    desk.store.execute("UPDATE ops.x12_set SET interchange_control = NULL, interchange_made = NULL", desk.database)
    assert said and desk.rows(SAID) == []
    desk.store.execute("UPDATE ops.file SET replay_asked_at = now() WHERE name = 'a_1.837'", desk.database)
    desk.once()
    assert desk.rows(SAID) == said


def test_an_interchange_acknowledgement_that_was_cut_is_kept_and_told(desk):
    desk.put("a_1.ta1", interchange_answer("A").partition(b"IEA")[0])
    desk.put("a_2.ta1", interchange_answer("A").replace(b"TA1*000000077*", b"TA1**"))  # names nothing
    desk.once()
    assert desk.file("a_1.ta1")["state"] == "done" and "segment" in desk.file("a_1.ta1")["error"]
    assert (desk.file("a_2.ta1")["state"], desk.file("a_2.ta1")["error"]) == \
        ("failed", "the file holds no transaction set 835, 837, 277 or 999 and no TA1 that names an interchange; send one of these, or ask "
         "the payer for it")
    assert desk.rows("SELECT code FROM ops.x12_interchange_acknowledgement") == [("A",)]


def test_what_a_receiver_said_of_a_set_stays_when_another_delivery_shows(desk):
    """Accepted, refused, sent again, and of that set twice the payer's acceptance, which says the same as the claim does."""
    for name, content in [*LIFE[:3], ("a_5.277", answering("SET1", "20250108")), ("a_6.837", sent_as("SET2", "20250109", "78")),
                          ("a_7.999", acknowledgement("E", "20250109", "78")), ("a_8.277", answering("SET2", "20250110", "A1:19")),
                          ("a_9.277", answering("SET2", "20250111", "A2:20"))]:
        desk.put(name, content)
    desk.once()
    assert [row[1:4] for row in desk.claims("C1")] == [(1, False, "Pending"), (2, False, "Rejected"), (3, True, "Pending")]
    assert desk.rows("SELECT iteration, acknowledgement FROM gold.claim_acknowledgements ORDER BY 1") == [
        (1, "Accepted"), (3, "Accepted with errors")]


def test_a_status_is_of_the_claim_that_it_names_and_of_none_where_it_names_none(desk):
    """X228 and X212 number the claim in REF*EJ; a payer that knows no number, or found no claim, touches none."""
    def level(*segments, version):
        return x12.envelope("277", [["BHT*0085*08*1*20250106*0900*TH", "HL*1**20*1", "HL*2*1*21*1", "HL*3*2*19*1", *segments]],
                            made="20250107", version=version)
    desk.put("a_1.837", claims_out())
    desk.put("a_2.277", level("HL*4*3*PT", "TRN*1*05347006051", "STC*P3:317*20250108**100", "REF*EJ*C1", "REF*1K*ICN1", version="005010X228"))
    desk.put("a_3.277", level("HL*4*3*22", "TRN*2*OURS-1", "STC*F2:585*20250108**100", "REF*EJ*C1", "TRN*2*C1", "STC*F1:65*20250108**7",
                              "TRN*2*OURS-3", "STC*D0:35*20250108", "REF*EJ*C1", version="005010X212"))
    desk.put("a_4.835", remit(["CLP*0*1*10*10**MC*I1"], ["CLP**1*5*5**MC*I2"]))
    desk.once()
    assert [row[:4] for row in desk.claims()] == [("C1", 1, False, "Pending"), ("C1", 2, True, "Denied")]
    nobody = "the payer names no claim of the hospital's"
    assert desk.rows("SELECT f.name, q.rule, split_part(q.reason, ' (', 1) FROM dq.quarantine q JOIN ops.file f USING (file_id) ORDER BY 1, 3") == [
        ("a_3.277", "x12_claim", "the payer names no claim of the hospital's"),
        ("a_3.277", "x12_claim", "the payer's answer says nothing of the claim: it found none, or could not look"),
        ("a_4.835", "x12_claim", nobody), ("a_4.835", "x12_claim", nobody)]


def test_a_group_of_another_kind_with_the_same_number_was_not_acknowledged(desk):
    desk.put("a_1.837", claims_out())
    desk.put("a_2.999", acknowledgement("R").replace(b"AK1*HC*", b"AK1*HR*").replace(b"AK2*837*", b"AK2*276*"))
    desk.once()
    assert desk.rows("SELECT acknowledgement FROM gold.claim_acknowledgements") == []


# IK501 of a set; of a whole group AK901; AK501 in the acknowledgement of an older kind.
WORDS = {"A": "Accepted", "E": "Accepted with errors", "R": "Rejected", "M": "Rejected", "W": "Rejected", "X": "Rejected"}


def test_each_word_of_a_receiver_is_kept_of_a_set_of_a_group_and_by_an_older_kind(desk):
    sent = [*((code, "set") for code in WORDS), ("P", "group"), ("E", "997")]
    for number, (code, kind) in enumerate(sent, 70):
        desk.put(f"a_{number}.837", claims_out(group=str(number)).replace(b"CLM*C1*", f"CLM*C{number}*".encode()))
        head = f"AK1*HC*{number}*005010X222A1"
        answer = {"set": [head, "AK2*837*0001*005010X222A1", f"IK5*{code}", "AK9*R*1*1*0"], "group": [head, f"AK9*{code}*2*2*1"],
                  "997": [head, "AK2*837*0001", f"AK5*{code}", "AK9*R*1*1*0"]}[kind]
        desk.put(f"a_{number}.999", x12.envelope("997" if kind == "997" else "999", [answer], made="20250106"))
    desk.once()
    assert desk.rows("SELECT source_claim_id, code, acknowledgement FROM gold.claim_acknowledgements ORDER BY 1") == [
        (f"C{number}", code, {**WORDS, "P": "Partially accepted"}[code]) for number, (code, _) in enumerate(sent, 70)]


def test_what_is_not_read_of_a_file_is_told_with_it(desk):
    sound = x12.envelope("835", [x12.remittance([PAID]), ["BHT*1"]])
    desk.put("a_1.835", sound.replace(b"ST*835*0002*", b"ST*270*0002*"))
    desk.put("a_2.999", acknowledgement("A").replace(b"SE*6*", b"SE*7*"))
    desk.put("a_3.277", status("A2:20", "20250107").replace(b"SE*9*", b"SE*8*"))
    desk.once()
    assert desk.file("a_1.835")["error"] == \
        "1 of 2 transaction sets are none of 835, 837, 277 and 999 and were not read; the first is number 2"
    for name in ("a_2.999", "a_3.277"):
        assert desk.file(name)["state"] == "done"
        assert desk.file(name)["error"].startswith("1 of 1 transaction sets went to quarantine; number 1: segment ")
    assert desk.rows("SELECT count(*) FROM ops.x12_acknowledgement") == [(0,)]


def test_a_refusal_that_names_no_claim_is_told_with_its_file(desk):
    """277CA: STC03 at the level of the receiver, or of the provider, speaks of all claims below, and none is named there."""
    def acknowledged(receiver, provider, *claims):
        return x12.envelope("277", [["BHT*0085*08*OWN*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "HL*2*1*21*1",
                                     "TRN*2*SET1", f"STC*{receiver}*100", "HL*3*2*19*1", "TRN*1*0", f"STC*{provider}*100", *claims]], made="20250107")
    taken, refused = "A1:19*20250106*WQ", "A3:21*20250106*U"
    claim_refused = ["HL*4*3*PT", "TRN*2*C1", f"STC*{refused}*100"]
    desk.put("a_1.277", acknowledged(taken, taken, *claim_refused))
    desk.put("a_2.277", acknowledged(refused, taken))
    desk.put("a_3.277", acknowledged(taken, refused))
    desk.put("a_4.277", acknowledged(taken, refused, *claim_refused))
    desk.put("a_5.277", acknowledged(refused, refused, *claim_refused))
    desk.put("a_6.277", acknowledged(taken, refused, "HL*4*2*19*1", f"STC*{refused}*100", *claim_refused))
    desk.once()
    said = {number: desk.file(f"a_{number}.277") for number in range(1, 7)}
    assert [file["state"] for file in said.values()] == ["done"] * 6
    assert [said[number]["error"] for number in (1, 4, 5)] == [None] * 3  # they are named
    sentence = ": all claims of a set, or of a provider in it, are refused and none is named; see in gold.claim_acknowledgements which, " \
        "mend them and send them again"
    assert (said[2]["error"], said[3]["error"], said[6]["error"]) == (f"segment 9{sentence}", f"segment 12{sentence}", f"segment 12{sentence}")


# ---- what a 277CA says above its claims ----

def batch_sent(reference, made="20250105", group="77", claims=(("A", "P1"), ("B", "P2")), **options):
    """An 837 of these claims, each below the billing provider of that number; "": of one that bears none; None: of nobody."""
    segments = [f"BHT*0019*00*{reference}*20250105*0900*CH"]
    for provider, pairs in itertools.groupby(claims, key=lambda pair: pair[1]):
        named = [f"NM1*85*2*CLINIC*****XX*{provider}".removesuffix("*****XX*")] if provider is not None else []
        segments += ["HL*1**20*1", *named, "HL*2*1*22*0", "SBR*P*18*******CI",
                     "NM1*IL*1*ONE*ANN****MI*M1", "NM1*PR*2*PAYER A*****PI*PA"]
        for number, _ in pairs:
            segments += [f"CLM*{number}*100***11:B:1*Y*A*Y*Y", "REF*EA*MRN1", "SBR*S*18*******CI", "NM1*85*2*OTHERS*****XX*P9", "LX*1",
                         "SV1*HC:99213*100*UN*1", "DTP*472*D8*20250102"]
    return x12.envelope("837", [segments], made=made, group=group, **options)


def batch_said(reference, of_all=None, *providers, made="20250107", below=(), **options):
    """A 277CA: STC of the receiver's level, of each provider's (number, STC), and what stands below the last."""
    def level(*segments, status):
        return [*segments, *([f"STC*{status}"] if status else [])]
    segments = ["BHT*0085*08*OWN*20250106*0900*TH", "HL*1**20*1", "NM1*PR*2*PAYER A*****PI*PA", "TRN*1*0",
                *level("HL*2*1*21*1", "NM1*41*2*HOSP*****46*H", f"TRN*2*{reference}", status=of_all)]
    for provider, status in providers:
        segments += level("HL*3*2*19*1", f"NM1*85*2*CLINIC*****XX*{provider}", "TRN*1*0", status=status)
    return x12.envelope("277", [[*segments, *below]], made=made, **options)


TAKEN, REFUSED = "A1:19:PR*20250106*WQ*100", "A3:24:41*20250106*U*100"
NAMES_A = ["HL*4*3*PT", "TRN*2*A", f"STC*{REFUSED}"]
BOTH_REFUSED = {"A": "A3:24:41 Rejected", "B": "A3:24:41 Rejected"}
BATCHES = {  # what was sent and answered, and what that comes to for each claim
    "a set is refused": ([batch_sent("S"), batch_said("S", REFUSED)], BOTH_REFUSED),
    "by its category alone": ([batch_sent("S"), batch_said("S", "A7:23*20250106")], {"A": "A7:23 Rejected", "B": "A7:23 Rejected"}),
    "by what is nobody's word": ([batch_sent("S"), batch_said("S", "A7:23*20250106*F")], {}),
    "a set is taken": ([batch_sent("S"), batch_said("S", TAKEN)], {"A": "A1:19:PR Accepted", "B": "A1:19:PR Accepted"}),
    "a provider is refused": ([batch_sent("S"), batch_said("S", TAKEN, ("P1", REFUSED))], {"A": "A3:24:41 Rejected", "B": "A1:19:PR Accepted"}),
    "and its refusal stands alone": ([batch_sent("S"), batch_said("S", None, ("P2", REFUSED))], {"B": "A3:24:41 Rejected"}),
    "two providers, each": ([batch_sent("S"), batch_said("S", None, ("P1", TAKEN), ("P2", REFUSED))],
                            {"A": "A1:19:PR Accepted", "B": "A3:24:41 Rejected"}),
    "a provider of claims apart": ([batch_sent("S", claims=(("A", "P1"), ("B", "P2"), ("C", "P1"), ("D", None))),
                                    batch_said("S", None, ("P1", REFUSED))], {"A": "A3:24:41 Rejected", "C": "A3:24:41 Rejected"}),
    "a provider of several claims": ([batch_sent("S", claims=(("A", "P1"), ("B", "P1"), ("C", "P2"))), batch_said("S", None, ("P1", REFUSED))],
                                     BOTH_REFUSED),
    "another payer's provider": ([batch_sent("S"), batch_said("S", None, ("P9", REFUSED))], {}),
    "a provider without a number": ([batch_sent("S", claims=(("A", "P1"), ("B", ""))), batch_said("S", None, ("", REFUSED))], {}),
    "a provider of a refused set": ([batch_sent("S"), batch_said("S", REFUSED, ("P1", TAKEN))], BOTH_REFUSED),
    "claims are named below": ([batch_sent("S"), batch_said("S", REFUSED, ("P1", REFUSED), below=NAMES_A)], {}),
    "below another provider": ([batch_sent("S"), batch_said("S", REFUSED, ("P2", REFUSED), ("P1", REFUSED), below=NAMES_A)],
                               {"B": "A3:24:41 Rejected"}),
    "a provider twice, refused": ([batch_sent("S"), batch_said("S", TAKEN, ("P1", REFUSED), ("P1", REFUSED))],
                                  {"A": "A3:24:41 Rejected", "B": "A1:19:PR Accepted"}),
    "a provider twice, taken": ([batch_sent("S"), batch_said("S", None, ("P1", TAKEN), ("P1", None))], {"A": "A1:19:PR Accepted"}),
    "refused and taken": ([batch_sent("S"), batch_said("S", TAKEN, ("P1", REFUSED), ("P2", TAKEN), ("P1", TAKEN))], {"B": "A1:19:PR Accepted"}),
    "taken and refused": ([batch_sent("S"), batch_said("S", None, ("P1", TAKEN), ("P1", REFUSED))], {}),
    "refused and its claims named": ([batch_sent("S", claims=(("A", "P1"), ("B", "P2"), ("C", "P1"))),
                                      batch_said("S", None, ("P1", REFUSED), ("P1", None), below=["HL*4*3*PT", "TRN*2*A", f"STC*{TAKEN}"])], {}),
    "refused, and refused of one that is named": ([batch_sent("S"), batch_said("S", None, ("P1", REFUSED), ("P1", REFUSED), below=NAMES_A)], {}),
    "a refusal that a claim takes back": ([batch_sent("S"), batch_said("S", REFUSED, ("P2", TAKEN), ("P1", None), below=NAMES_A)],
                                          {"B": "A1:19:PR Accepted"}),
    "it names another set": ([batch_sent("S"), batch_said("T", REFUSED)], {}),
    "it names none": ([batch_sent("S"), batch_said("", REFUSED)], {}),
    "before it was sent": ([batch_sent("S"), batch_said("S", REFUSED, made="20250104")], {}),
    "an inquiry's answer": ([batch_sent("S"), batch_said("S", REFUSED, version="005010X212")], {}),
    "with a wrong envelope": ([batch_sent("S"), batch_said("S", REFUSED).replace(b"SE*10*", b"SE*9*")], {}),
    "taken later": ([batch_sent("S"), batch_said("S", REFUSED), batch_said("S", TAKEN, made="20250108")],
                    {"A": "A1:19:PR Accepted", "B": "A1:19:PR Accepted"}),
    "later on the same day": ([batch_sent("S"), batch_said("S", TAKEN, time="1500"), batch_said("S", REFUSED, time="0900")],
                              {"A": "A1:19:PR Accepted", "B": "A1:19:PR Accepted"}),
    "refused later on it": ([batch_sent("S"), batch_said("S", REFUSED, time="1500"), batch_said("S", TAKEN, time="0900")], BOTH_REFUSED),
    "its form was right": ([batch_sent("S"), acknowledgement("A", "20250107", time="1800"), batch_said("S", REFUSED)], BOTH_REFUSED),
    "its form was wrong later": ([batch_sent("S"), acknowledgement("R", "20250108"), batch_said("S", TAKEN)], {"A": "R Rejected", "B": "R Rejected"}),
    "the provider before the set": ([batch_sent("S"), batch_said("S", None, ("P1", REFUSED)), batch_said("S", TAKEN, made="20250108")],
                                    {"A": "A3:24:41 Rejected", "B": "A1:19:PR Accepted"}),
    "sets named alike": ([batch_sent("S"), batch_sent("S", group="78", made="20250106", claims=(("C", "P1"),)), batch_said("S", REFUSED),
                          batch_said("S", TAKEN, made="20250105")],
                         {"A": "A1:19:PR Accepted", "B": "A1:19:PR Accepted", "C": "A3:24:41 Rejected"}),
    "sets of a group named alike": ([batch_sent("S").replace(b"GE*1*", b"ST*837*0002*005010X222A1~BHT*0019*00*S*20250105*0900*CH~HL*1**20*1~"
                                                             b"HL*2*1*22*0~CLM*C*100~SE*6*0002~GE*2*"), batch_said("S", REFUSED)],
                                    {**BOTH_REFUSED, "C": "A3:24:41 Rejected"}),
    "named alike to two payers": ([batch_sent("S", sender="HOSP", receiver="AETNA"),
                                   batch_sent("S", made="20250106", claims=(("C", "P1"),), sender="HOSP", receiver="CIGNA"),
                                   batch_said("S", REFUSED, sender="AETNA", receiver="HOSP")], BOTH_REFUSED),
    "mended and sent again that day": ([batch_sent("S", time="0900"), batch_sent("S", time="1400", group="78", claims=(("C", "P1"),)),
                                        batch_said("S", REFUSED, made="20250105", time="1000")], BOTH_REFUSED),
    "groups of one minute": ([batch_sent("S", group="779", claims=(("A", "P1"),)), batch_sent("S", group="7710", claims=(("B", "P1"),)),
                              batch_said("S", REFUSED, time="0900"), batch_said("S", TAKEN, time="1500")], {"B": "A3:24:41 Rejected"}),
    "a provider of the set before": ([batch_sent("S"), batch_sent("S", time="1400", group="78", claims=(("C", "P1"),)),
                                      batch_said("S", None, ("P2", REFUSED))], {"B": "A3:24:41 Rejected"}),
    "by who stands behind": ([batch_sent("S", sender="HOSP", receiver="HOUSE"), batch_said("S", REFUSED, sender="AETNA", receiver="HOSP")],
                             BOTH_REFUSED),
}


def of_case(content, number):
    """Sets, groups and claims of each case have names of their own, so that all stand in one database."""
    content = re.sub(rb"(TRN\*2\*|BHT\*0019\*00\*)([STA])(?=[*~])", rb"\g<1>%d\g<2>" % number, content)
    content = re.sub(rb"CLM\*", rb"CLM*%d" % number, content)
    return re.sub(rb"(GS\*HC(?:\*[^*]*){4}\*|AK1\*HC\*|GE\*\d\*)(?=77|78)", rb"\g<1>%d" % number, content)


def said_of_cases(desk):
    found = {name: {} for name in BATCHES}
    for number, code, word in desk.rows("SELECT source_claim_id, code, acknowledgement FROM gold.claim_acknowledgements"):
        found[[*BATCHES][int(number[:-1]) - 100]][number[-1]] = f"{code} {word}"
    return found


def test_what_is_said_of_all_claims_of_a_set_is_said_of_each_in_whichever_order(make_desk):
    files = [(f"a_{number}_{i}.x12", of_case(content, number)) for number, (contents, _) in enumerate(BATCHES.values(), 100)
             for i, content in enumerate(contents)]
    expected = {name: said for name, (_, said) in BATCHES.items()}
    answered_first = [name for name, content in files if b"ST*837*" not in content]
    for early in ([], answered_first, [name for name, _ in files if name not in answered_first]):
        desk = make_desk()
        for name, content in sorted(files, key=lambda file: file[0] not in early):
            if early and name not in early:
                desk.once()
                early = []
            desk.put(name, content)
        desk.once()
        assert said_of_cases(desk) == expected
        assert desk.rows("SELECT count(*), count(*) FILTER (WHERE iteration = 2 AND claim_status = 'Rejected') FROM silver.claims") == [(
            sum(content.count(b"CLM*") for _, content in files) + 4, 4)]  # of the four that are named, each


def test_what_is_said_of_a_set_is_of_its_hospital_and_goes_with_its_file(desk):
    desk.put("a_1.837", batch_sent("S"))
    desk.put("b_2.277", batch_said("S", REFUSED))
    desk.put("a_3.277", batch_said("S", None, ("P2", REFUSED)))
    desk.once()
    assert [line[0] for line in desk.rows(SAID)] == ["B"]
    said = desk.rows("SELECT * FROM ops.x12_batch_acknowledgement ORDER BY 1, 2")
    desk.store.execute("UPDATE ops.x12_set SET billing_providers = NULL, reference = NULL", desk.database)
    desk.store.execute("UPDATE ops.file SET replay_asked_at = now()", desk.database)
    desk.once()
    assert [line[0] for line in desk.rows(SAID)] == ["B"]
    assert desk.rows("SELECT * FROM ops.x12_batch_acknowledgement ORDER BY 1, 2") == said


def test_analysts_read_what_is_said_of_claims(desk):
    desk.put("a_1.837", batch_sent("S"))
    desk.put("a_2.277", batch_said("S", REFUSED))
    desk.once()
    with contextlib.closing(desk.store.connect(desk.database)) as link, link.cursor() as cursor:
        cursor.execute("SET ROLE revcycle_reader")
        cursor.execute("SELECT source_claim_id, code, acknowledgement FROM gold.claim_acknowledgements ORDER BY 1")
        assert cursor.fetchall() == [("A", "A3:24:41", "Rejected"), ("B", "A3:24:41", "Rejected")]


@pytest.mark.parametrize("answer", ["277", "999"])
def test_a_copy_that_was_cut_takes_no_answer_away(desk, answer):
    desk.put("a_1.837", batch_sent("S"))
    for blanks in range(4):  # of several names: which file comes last where all else is equal is left to their sums
        desk.put(f"a_2{blanks}.837", batch_sent("S").split(b"SE*")[0] + b"\n" * blanks)
    desk.put(f"a_3.{answer}", {"277": batch_said("S", REFUSED), "999": acknowledgement("R")}[answer])
    desk.once()
    assert desk.rows("SELECT state, count(*) FROM ops.x12_set WHERE kind = '837' GROUP BY 1 ORDER BY 1") == [("posted", 1), ("quarantined", 4)]
    assert [(line[0], line[2]) for line in desk.rows(SAID)] == [("A", "Rejected"), ("B", "Rejected")]


@pytest.mark.parametrize("version, sentence", [
    ("004010X091A1", "1 of 2 transaction sets are of another version than 005010 and were read as if of that; the first is number 2"),
    ("005010X221", None), ("005010", None)])
def test_a_set_of_another_version_is_read_and_told(desk, version, sentence):
    sound = x12.envelope("835", [x12.remittance([PAID]), x12.remittance([DENIED])])
    desk.put("a_1.835", sound.replace(b"ST*835*0002*005010X221A1", f"ST*835*0002*{version}".encode()))
    desk.once()
    assert (desk.file("a_1.835")["state"], desk.file("a_1.835")["error"]) == ("done", sentence)
    assert [row[0] for row in desk.claims()] == ["C1", "C2"]


def test_a_set_outside_any_group_has_nothing_of_the_group_before_it(desk):
    """Behind its end, or in the next interchange."""
    whole = remit(PAID).decode()
    outside = "".join(line + "\n" for line in remit(DENIED).decode().split("\n")[:-1] if not line.startswith(("GS*", "GE*")))
    outside = outside.replace("*005010X221A1", "")
    behind = outside[outside.index("ST*"):outside.index("IEA*")]
    desk.put("a_1.835", whole + outside.replace("000000001", "000000002").replace("IEA*1", "IEA*0"))
    desk.put("a_2.835", whole.replace("IEA*", behind.replace("CLP*C2*", "CLP*C3*") + "IEA*"))
    desk.once()
    assert desk.rows("SELECT source_claim_id, source_modified_at IS NOT NULL FROM silver.claims ORDER BY 1") == [("C1", True), ("C2", False), ("C3", False)]
    assert desk.rows("SELECT set_number, group_control, sender, version, made_at IS NOT NULL FROM ops.x12_set ORDER BY file_id, set_number") == 2 * [
        (1, "1", "PAYER", "005010X221A1", True), (2, "", "", "", False)]
    for name in ("a_1.835", "a_2.835"):
        assert desk.file(name)["error"].endswith("the transaction set begins outside any functional group")


def test_a_set_without_a_version_has_that_of_its_group(desk):
    sound = x12.envelope("835", [x12.remittance([PAID]), x12.remittance([DENIED])], version="004010X091A1")
    desk.put("a_1.835", sound.replace(b"ST*835*0001*004010X091A1", b"ST*835*0001").replace(b"ST*835*0002*004010", b"ST*835*0002*005010"))
    desk.once()
    assert desk.file("a_1.835")["error"].startswith("1 of 2 transaction sets are of another version than 005010")
    assert desk.rows("SELECT version FROM ops.x12_set ORDER BY set_number") == [("004010X091A1",), ("005010X091A1",)]


# ---- remittances made again ----

REVERSAL = ["CLP*C1*22*-100*-70**MC*ICN1", "SVC*HC:99213*-60*-50", "CAS*CO*45*-10", "SVC*HC:85025*-40*-20", "CAS*PR*1*-10",
            "CAS*CO*45*-10"]
CORRECTION = ["CLP*C1*1*100*90**MC*ICN9", "CAS*CO*45*10"]
PLB = ["PLB*1234567893*20251231*WO:C9*5*L6*-2"]


def provider_adjustments(desk):
    return desk.rows("SELECT source_system, reason_code, amount::text FROM ops.x12_provider_adjustment ORDER BY 1, 2, amount")


def test_a_correction_before_its_reversal_counts_in_whichever_order(make_desk):
    """The set corrects C1 first and takes the payment back then; C2 it pays and takes back, and nobody had paid that before."""
    taken_back = ["CLP*C2*22*-80*-70**MC*ICN3", "CAS*CO*45*-10"]
    files = [("a_1.835", remit(PAID)),
             ("a_2.835", remit(CORRECTION, ["CLP*C2*1*80*70**MC*ICN3", "CAS*CO*45*10"], REVERSAL, taken_back, made="20250201")),
             ("hospital1_1.csv", CSV + claim("C1") + claim("C2", amount="80.00"))]
    for order in itertools.permutations(files):
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[2:4] + row[5:6] for row in desk.claims("C1")] == [
            (False, "Pending", "0.00"), (False, "Paid", "70.00"), (False, "Reversed", "0.00"), (True, "Paid", "90.00")]
        assert [row[2:4] + row[5:6] for row in desk.claims("C2")] == [
            (False, "Pending", "0.00"), (False, "Paid", "70.00"), (True, "Reversed", "0.00")]
        # by claim, iteration and code: what the first said, what took it back, what counts
        assert desk.rows("SELECT source_claim_id, iteration, group_code, sum(amount)::text FROM silver.adjustments GROUP BY 1, 2, 3 "
                         "ORDER BY 1, 2, 3") == [
            ("C1", 2, "CO", "20.00"), ("C1", 2, "PR", "10.00"), ("C1", 3, "CO", "-20.00"), ("C1", 3, "PR", "-10.00"),
            ("C1", 4, "CO", "10.00"), ("C2", 2, "CO", "10.00"), ("C2", 3, "CO", "-10.00")]


def test_a_remittance_made_again_counts_once_in_whichever_order(make_desk):
    """Other control numbers, another day, other bytes: the payment is the same. In between it was taken back and corrected."""
    files = [("a_1.835", remit(PAID, DENIED, plb=PLB, number="E1")),
             ("a_2.835", remit(REVERSAL, CORRECTION, made="20250201", number="E2")),
             ("a_3.835", remit(PAID, DENIED, plb=PLB, number="E1", made="20250301", time="0931", group="99"))]
    states = []
    for order in [*itertools.permutations(files)][::2]:
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[1:4] + row[5:6] for row in desk.claims("C1")] == [
            (1, False, "Paid", "70.00"), (2, False, "Reversed", "0.00"), (3, True, "Paid", "90.00")]
        assert desk.claims("C2") == [("C2", 1, True, "Denied", "80.00", "0.00", "remittance")]
        # each amount of E1 and E2 once: CO-45 10 + 10 - 10 - 10 + 10, PR-1 10 - 10, CO-29 80
        assert desk.rows("SELECT group_code, reason_code, count(*), sum(amount)::text FROM silver.adjustments GROUP BY 1, 2 "
                         "ORDER BY 1, 2") == [("CO", "29", 1, "80.00"), ("CO", "45", 5, "10.00"), ("PR", "1", 2, "0.00")]
        assert provider_adjustments(desk) == [("hospital_a", "L6", "-2.00"), ("hospital_a", "WO", "5.00")]
        assert desk.rows("SELECT f.name, s.state FROM ops.x12_set s JOIN ops.file f USING (file_id) ORDER BY 1") == [
            ("a_1.835", "superseded"), ("a_2.835", "posted"), ("a_3.835", "posted")]
        # what was paid: 70 - 3 of E1, 90 - 70 of E2
        assert desk.rows("SELECT sum(check_amount)::text FROM ops.x12_set WHERE state = 'posted'") == [("87.00",)]
        states.append(desk.dump())
    for state in states[1:]:
        dump.assert_equal(states[0], state)


def test_a_remittance_made_again_with_other_claims_corrects_what_it_tells(make_desk):
    """The payment is as it was; of the first delivery counts what the second does not tell anew."""
    first = remit(PAID, DENIED, plb=PLB, number="E1")
    second = remit(["CLP*C1*1*100*60*10*MC*ICN1", "CAS*CO*45*30", "CAS*PR*1*10"], plb=["PLB*1234567893*20251231*WO:C9*-7"],
                   number="E1", made="20250115", group="99")
    for order in ((first, second), (second, first)):
        desk = make_desk()
        for number, content in enumerate(order):
            desk.put(f"a_{number}.835", content)
            desk.once()
        assert [row[:6] for row in desk.claims()] == [("C1", 1, True, "Paid", "100.00", "60.00"),
                                                      ("C2", 1, True, "Denied", "80.00", "0.00")]
        assert [row[:5] + row[6:7] for row in desk.adjustments()] == [
            ("C1", 1, 0, "CO", "45", "30.00"), ("C1", 1, 0, "PR", "1", "10.00"), ("C2", 1, 1, "CO", "29", "80.00")]
        assert provider_adjustments(desk) == [("hospital_a", "WO", "-7.00")]


def test_a_claim_keeps_its_key_when_its_remittance_is_made_again(desk):
    desk.put("a_1.835", remit(PAID, number="E1"))
    desk.once()
    before = desk.rows("SELECT claim_key FROM silver.claims")
    desk.put("a_2.835", remit(PAID, number="E1", made="20250115", group="99"))
    desk.once()
    assert desk.rows("SELECT claim_key FROM silver.claims") == before


def test_payments_that_differ_in_payer_payee_number_day_amount_or_hospital_count_each(desk):
    same = {"number": "E1", "plb": PLB}
    files = {"a_1.835": remit(PAID, **same), "a_2.835": remit(PAID, payer_id="1999999999", **same),
             "a_3.835": remit(PAID, plb=PLB, number="E2"), "a_4.835": remit(PAID, day="20250111", **same),
             "a_5.835": remit(CORRECTION, **same), "b_6.835": remit(PAID, made="20250111", **same),
             "a_51.835": remit(PAID, **same).replace(b"N1*PE*HOSPITAL*XX*1234567893", b"N1*PE*CLINIC*XX*1999999998"),
             "a_52.835": remit(PAID, **same, payer="ONE", payer_id=""), "a_53.835": remit(PAID, **same, payer="TWO", payer_id=""),
             "a_7.835": remit(plb=PLB, number="0"), "a_8.835": remit(plb=PLB, number="0", made="20250111")}
    for name, content in files.items():
        desk.put(name, content)
    desk.once()
    assert desk.rows("SELECT state, count(*) FROM ops.x12_set GROUP BY 1") == [("posted", len(files))]
    assert provider_adjustments(desk) == \
        [("hospital_a", "L6", "-2.00")] * 10 + [("hospital_a", "WO", "5.00")] * 10 + [("hospital_b", "L6", "-2.00"), ("hospital_b", "WO", "5.00")]


def test_a_corrected_remittance_ends_the_quarantine_of_the_wrong_one(make_desk):
    wrong, other = remit(PAID, DENIED, number="E1", check="75"), remit(CORRECTION, number="E2", check="1")
    right, early = (remit(PAID, DENIED, number="E1", made=day, group="9") for day in ("20250112", "20250108"))
    seen = []
    for order in itertools.permutations((wrong, other, right)):
        desk = make_desk()
        for number, content in enumerate(order):
            desk.put(f"a_{number}.835", content)
            desk.once()
        assert desk.rows("SELECT raw ->> 'source_claim_id', raw ->> 'check_number', state FROM dq.quarantine ORDER BY 2, 1") == [
            ("C1", "E1", "superseded"), ("C2", "E1", "superseded"), ("C1", "E2", "open")]
        assert desk.rows("SELECT check_number, reason IS NULL, state FROM ops.x12_set ORDER BY 1, 2") == [
            ("E1", False, "superseded"), ("E1", True, "posted"), ("E2", False, "quarantined")]
        seen.append(desk.dump())
    for other_order in seen[1:]:
        dump.assert_equal(seen[0], other_order)
    desk = make_desk()  # what was right before the wrong one came does not mend it
    desk.put("a_1.835", early)
    desk.put("a_2.835", wrong)
    desk.once()
    assert desk.rows("SELECT DISTINCT state FROM dq.quarantine") == [("open",)]


@pytest.mark.parametrize("made", [("20250110", "20250108"), ("20250108", "20250110")], ids=["held last", "held first"])
def test_what_is_held_of_a_claim_in_sets_goes_by_when_they_were_made(make_desk, made):
    """And not by which was read first."""
    seen = []
    for order in ((0, 1), (1, 0)):
        desk = make_desk()
        with open(desk.daemon.config, encoding="utf-8") as file:
            config = file.read()
        with open(desk.daemon.config, "w", encoding="utf-8") as file:
            file.write(config + "rules:\n  - {name: too_much, entity: claims, severity: quarantine, check: \"paid_amount < 70\"}\n")
        contents = [remit(PAID, number="E1", made=made[0]), remit(DENIED, ["CLP*C1*4*100*0**MC*ICN1", "CAS*CO*29*100"], number="E2", made=made[1])]
        for number in order:
            desk.put(f"a_{number}.835", contents[number])
            desk.once()
        assert desk.rows("SELECT natural_key, rule, state FROM dq.quarantine") == [
            ("C1", "too_much", "open" if made[0] > made[1] else "superseded")]
        seen.append(desk.dump())
    dump.assert_equal(*seen)


def test_a_corrected_remittance_ends_what_was_dismissed_too_and_only_of_its_hospital(desk):
    desk.put("a_1.835", remit(PAID, DENIED, number="E1", check="75"))
    desk.once()
    desk.rows("UPDATE dq.quarantine SET state = 'dismissed' WHERE raw ->> 'source_claim_id' = 'C2' RETURNING 1")
    held = "SELECT raw ->> 'source_claim_id', state FROM dq.quarantine ORDER BY 1"
    right = remit(PAID, DENIED, number="E1", made="20250112", group="9")
    desk.put("b_1.835", right)
    desk.once()
    assert desk.rows(held) == [("C1", "open"), ("C2", "dismissed")]
    desk.put("a_2.835", right)
    desk.once()
    assert desk.rows(held) == [("C1", "superseded"), ("C2", "superseded")]


def test_an_acknowledgement_is_of_the_right_receiver_and_of_the_last_that_bore_the_number(make_desk):
    """Group 77 goes to two payers, and once more when the numbers have come round."""
    def sent(claim_id, made, receiver):
        return claims_out(made, sender="HOSP", receiver=receiver).replace(b"CLM*C1*", f"CLM*{claim_id}*".encode())

    files = [("a_1.837", sent("C1", "20250105", "AETNA")), ("a_2.837", sent("C2", "20250105", "CIGNA")),
             ("a_3.837", sent("C3", "20250305", "AETNA")),
             ("a_4.999", acknowledgement("A", "20250105", sender="AETNA", receiver="HOSP", time="0300")),
             ("a_5.999", acknowledgement("R", "20250106", sender="CIGNA", receiver="HOSP")),
             ("a_6.999", acknowledgement("E", "20250306", sender="AETNA", receiver="HOSP")),
             ("a_7.999", acknowledgement("R", "20250101", sender="AETNA", receiver="HOSP")),  # before anything was sent
             ("b_8.999", acknowledgement("P", "20250307", sender="AETNA", receiver="HOSP"))]
    for order in (files, files[::-1]):
        desk = make_desk()
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert desk.rows("SELECT source_claim_id, acknowledgement FROM gold.claim_acknowledgements ORDER BY 1") == [
            ("C1", "Accepted"), ("C2", "Rejected"), ("C3", "Accepted with errors")]


POINTS = ["x12.after_note", "x12.after_mend", "settle.after_posted"]


def test_killed_anywhere_and_started_again_the_end_is_equal(make_desk):
    """The second remittance cancels and corrects the first: killed while it is noted, placed in pages, and settled."""
    files = {name: FILES[name] for name in ("hospital1_1.csv", "a_3.835", "a_4.835")}
    dumps = []
    for point in [None, *POINTS]:
        desk = make_desk(page_rows=1)
        desk.put("hospital1_1.csv", files["hospital1_1.csv"])
        desk.once()  # two feeds are read side by side: the past says who came first
        desk.put("a_3.835", files["a_3.835"])
        if point:
            done = desk.daemon.once(REVCYCLED_FAILPOINT=point)
            assert done.returncode == -signal.SIGKILL, f"{point} was never passed"
        desk.once()
        desk.put("a_4.835", files["a_4.835"])
        if point:
            desk.daemon.once(REVCYCLED_FAILPOINT=point + ":2")
            desk.daemon.once(REVCYCLED_FAILPOINT=point)
        desk.once()
        state = desk.dump(dump.KILL)
        state["sets"] = sorted(desk.rows("SELECT encode(f.sha256, 'hex'), s.set_number, s.state, s.claims, s.paid::text "
                                         "FROM ops.x12_set s JOIN ops.file f USING (file_id)"))
        dumps.append(state)
    for point, state in zip(POINTS, dumps[1:]):
        dump.assert_equal(dumps[0], state)


def test_pages_of_a_remittance_are_independent_of_their_size(make_desk):
    claims = [[f"CLP*K{i}*1*{i + 10}*{i}**MC*I{i}", "CAS*CO*45*10"] for i in range(1, 60)]
    dumps = []
    for page_rows in (5000, 7):
        desk = make_desk(page_rows=page_rows)
        desk.put("a_1.835", remit(*claims))
        desk.once()
        assert desk.rows("SELECT count(*), sum(paid_amount)::text FROM silver.claims") == [(59, str(Decimal(59 * 60 // 2)) + ".00")]
        dumps.append(desk.dump(dump.ORDER)["silver.claims"])
    assert dumps[0] == dumps[1]


def zipped(content):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("remittance.txt", content)
    return made.getvalue()


BAD = { # name: content, state, sentence
    "a_empty": (b"", "failed", "the file is empty"),
    "a_csv": (CSV + claim("C1"), "failed", "segment 1, line 1, byte 0: an interchange begins with ISA, and none does here"),
    "a_wide": (remit(["CLP*X5*1*1*1"]).decode().encode("utf-16"), "failed", "none does here; send X12 as ASCII or UTF-8, and rows, such as CSV, "
               "to a directory of their own"),
    "a_isa": (b"ISA*00*nothing~", "failed", "the ISA has not its sixteen elements, so the delimiters are not known"),
    "a_kind": (x12.envelope("835", [["BHT*1"]]).replace(b"ST*835", b"ST*270"), "failed",
               "the file holds no transaction set 835, 837, 277 or 999 and no TA1 that names an interchange"),
    "a_cut": (remit(["CLP*X1*1*1*1"])[:-20], "done", "the file ends before the interchange does: it was cut; send it again, whole"),
    "a_half": (remit(["CLP*X2*1*1*1"])[:-36], "done", "the file ends before the interchange does: it was cut; send it again, whole"),
    "a_group": (remit(["CLP*X3*1*1*1"]).replace(b"GE*1*", b"GE*2*"), "done",
                "the functional group's transaction sets are 1, and its end says 2"),
    "c_name": (remit(["CLP*X4*1*1*1"]), "failed", "its name matches no pattern"),
    "a_bomb.gz": (gzip.compress(remit(["CLP*X6*1*1*1"]) + b"\n" * (1 << 24)), "failed",
                  "the file unpacks to more than 200 times its size (max_unpacked_ratio)"),
    "a_bomb.zip": (zipped(remit(["CLP*X7*1*1*1"]) + b"0" * (1 << 24)), "failed",
                   "the file unpacks to more than 200 times its size (max_unpacked_ratio)"),
    "a_damaged.gz": (gzip.compress(remit(["CLP*X8*1*1*1"]))[:-8] + b"\0" * 8, "failed", "the gzip file is damaged: its checksum does not match"),
}


def test_a_file_that_is_no_good_says_why(desk):
    for name, (content, *_) in BAD.items():
        desk.put(name, content)
    desk.once()
    for name, (_, state, sentence) in BAD.items():
        report = desk.file(name)
        assert report["state"] == state and sentence in (report["error"] or ""), (name, report)
        assert not re.search(r"\b[XC]\d\b", report["error"])
        assert state != "failed" or "; " in report["error"]  # and how to mend it
    assert [row[0] for row in desk.claims()] == ["X1", "X3"]  # their sets were whole
    assert desk.rows("SELECT rule, reason FROM dq.quarantine") == [("x12_envelope", "the transaction set has no SE")]


def test_what_is_beyond_measure_is_told_and_keeps_nothing_else_out(desk):
    """A claim of more lines than are read, and a file of more sets."""
    lines = "SV1*HC:" + "9" * 40 + "*1*UN*1~\n"
    one = claims_out().replace(b"LX*2~\n", lines.encode() * 20_000).replace(b"SE*17*", b"SE*20016*").replace(b"CLM*C1*", b"CLM*LONG*")
    desk.put("a_1.837", one)
    head, tail = claims_out().split(b"ST*")[0], b"GE*100001*77~\nIEA*1*000000001~\n"
    desk.put("a_2.837", head + b"ST*837*1~SE*2*1~" * 100_001 + tail)
    desk.put("a_3.837", claims_out())
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    assert (desk.file("a_2.837")["state"], desk.file("a_2.837")["error"]) == \
        ("failed", "the file has more than 100000 transaction sets; send it in parts")
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason FROM dq.quarantine") == [
        ("LONG", "line_unreadable", "the claim has more service lines or adjustments than are read")]


def test_a_file_that_was_cut_at_any_segment_says_so_and_posts_what_was_whole(desk):
    """Two groups of two sets each, of mixed kinds: every set of every cut is posted if its SE is there, and no cut is silent."""
    sent = x12.segments_of(claims_out())
    groups = [x12.segments_of(x12.envelope("835", [x12.remittance([[f"CLP*K{i}*1*10*{i}**MC*I", f"CAS*CO*45*{10 - i}"]], number=f"K{i}")
                                                   for i in (1, 2)])), sent]
    segments = [groups[0][0], *[s for group in groups for s in group[1:-1]], ["IEA", "2", "000000001"]]
    whole = ["*".join(s) + "~" for s in segments]
    ends = [i + 1 for i, s in enumerate(segments) if s[0] == "SE"]
    for size in range(1, len(whole) + 1):
        desk.put(f"a_{size:03}.x12", "".join(whole[:size]))
    desk.once()
    posted = dict(desk.rows("SELECT f.name, count(*) FILTER (WHERE s.reason IS NULL) FROM ops.file f JOIN ops.x12_set s USING (file_id) "
                            "GROUP BY 1"))
    for size in range(1, len(whole) + 1):
        name = f"a_{size:03}.x12"
        report = desk.file(name)
        assert posted.get(name, 0) == sum(end <= size for end in ends), size
        assert report["state"] in (("done", "superseded") if name in posted else ("failed",)), (size, report)  # a later cut tells it too
        assert (report["error"] is None) == (size == len(whole)), (size, report)
    assert [row[0] for row in desk.rows("SELECT DISTINCT source_claim_id FROM silver.claims ORDER BY 1")] == ["C1", "K1", "K2"]


def test_claims_behind_a_set_are_not_posted_by_its_balance(desk):
    """The second set lost its ST: nobody has added up its claims."""
    sets = [x12.remittance([PAID]), x12.remittance([["CLP*S1*1*100*70**MC*I", "CAS*CO*45*1"]], check="1", plb=["PLB*1*20251231*WO:X*5"])]
    content = x12.envelope("835", sets)
    desk.put("a_1.835", content.replace(b"ST*835*0002*005010X221A1~\n", b""))
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason FROM dq.quarantine") == [
        ("S1", "line_unreadable", "the claim stands in no transaction set")]
    assert desk.rows("SELECT count(*) FROM ops.x12_provider_adjustment") == [(0,)]
    assert "outside any transaction set" in desk.file("a_1.835")["error"]


def test_claims_of_a_first_set_without_its_beginning_are_not_lost(desk):
    sets = [x12.remittance([["CLP*S1*1*100*70**MC*I", "CAS*CO*45*30"]]), x12.remittance([PAID])]
    desk.put("a_1.835", x12.envelope("835", sets).replace(b"ST*835*0001*005010X221A1~\n", b""))
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule, reason FROM dq.quarantine") == [
        ("S1", "line_unreadable", "the claim stands in no transaction set")]
    assert "outside any transaction set" in desk.file("a_1.835")["error"]


DATES = { # a text in a sound file, what stands there instead, and the segment with it; None: it can be read
    "BPR16": ("ACH************20250110", "ACH************20250231", "BPR"), "DTM*405": ("DTM*405*20250110", "DTM*405*20251301", "DTM*405"),
    "DTM*232": ("DTM*232*20250102", "DTM*232*20250229", "DTM*232"), "GS04": ("*20250110*1200*", "*20250230*1200*", "GS"),
    "GS05": ("*20250110*1200*", "*20250110*2460*", "GS"), "PLB02": ("*20251231*", "*20251131*", "PLB"),
    "letters": ("DTM*232*20250102", "DTM*232*2025O102", "DTM*232"), "short": ("DTM*232*20250102", "DTM*232*250102", "DTM*232"),
    "a leap day": ("DTM*232*20250102", "DTM*232*20240229", None), "no date": ("DTM*405*20250110", "DTM*405*", None),
    "another qualifier": ("DTM*232*20250102", "DTM*036*20250231", None),
}


@pytest.mark.parametrize("place", DATES)
def test_a_date_that_no_calendar_has_is_told_and_not_left_out(desk, place):
    sound, instead, begins = DATES[place]
    content = remit(PAID, plb=["PLB*1234567893*20251231*L6*-2"])
    assert content.count(sound.encode()) == 1
    content = content.replace(sound.encode(), instead.encode())
    desk.put("a_1.835", content)
    desk.once()
    if begins is None:
        assert [row[0] for row in desk.claims()] == ["C1"] and desk.rows("SELECT count(*) FROM dq.quarantine") == [(0,)]
        return
    segment = 1 + next(i for i, s in enumerate(content.decode().split("\n")) if s.startswith(begins))
    assert desk.claims() == []
    assert desk.rows("SELECT rule, reason FROM dq.quarantine") == [
        ("x12_date", f"segment {segment}: a date or time that no calendar or clock has")]


def test_a_date_that_is_none_is_of_its_set_alone(desk):
    sets = [x12.remittance([DENIED], day="20250231"), x12.remittance([PAID])]
    desk.put("a_1.835", x12.envelope("835", sets))
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule FROM dq.quarantine") == [("C2", "x12_date")]


def test_dates_of_claims_sent_out(desk):
    """A span, a span that ends on no day, a minute, and one claim's bad date is not the next one's."""
    lines = ["DTP*472*RD8*20250102-20250104", "DTP*472*RD8*20250102-20250232", "DTP*434*DT*202501021130", "DTP*472*D8*20250102"]
    claims = [s for i, dtp in enumerate(lines) for s in
              (f"CLM*D{i}*5***11:B:1*Y*A*Y*Y", "LX*1", "SV1*HC:99213*5*UN*1", dtp)]
    desk.put("a_1.837", x12.envelope("837", [["BHT*0019*00*1*20250105*0900*CH", "HL*1**22*0", *claims]]))
    desk.once()
    assert desk.rows("SELECT source_claim_id, service_date::text FROM silver.claims ORDER BY 1") == [
        (f"D{i}", "2025-01-02") for i in (0, 2, 3)]
    assert desk.rows("SELECT raw ->> 'source_claim_id', rule FROM dq.quarantine") == [("D1", "x12_date")]


def test_sums_beyond_all_measure_are_refused_with_a_sentence(desk):
    """Of claims sent out too, which have no balance that would tell: 1,001 times the largest amount."""
    claims = [f"CLM*H{i}*999999999999.99***11:B:1*Y*A*Y*Y" for i in range(1001)]
    desk.put("a_1.837", x12.envelope("837", [["BHT*0019*00*1*20250105*0900*CH", "HL*1**22*0", *claims]]))
    desk.put("a_2.837", claims_out())
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    sentence = "the transaction set's amounts add up to more than 1,000,000,000,000,000.00"
    assert desk.rows("SELECT rule, reason, count(*) FROM dq.quarantine GROUP BY 1, 2") == [("x12_amount", sentence, 1001)]
    assert desk.rows("SELECT state, reason FROM ops.x12_set ORDER BY file_id") == [("quarantined", sentence), ("posted", None)]


def test_a_transaction_that_a_claim_names_no_more_is_looked_at_again(desk):
    """The 277 shows, and had the transaction from a file that does not; a file between them names another."""
    for number, key in (("TC1", 1), ("TC9", 2)):
        desk.rows(f"INSERT INTO silver.transactions (transaction_key, source_system, source_transaction_id, amount, paid_amount, "
                  f"batch_id) VALUES ({key}, 'hospital_a', '{number}', 100, 0, 1) RETURNING 1")
    payments = "SELECT source_transaction_id, payment_status FROM silver.transactions ORDER BY 1"
    denied = {"modified": "2025-01-05", "status": "Denied", "amount": "100.00", "paid": ""}
    desk.put("hospital1_1.csv", CSV + claim("C1", **denied))
    desk.once()
    desk.put("a_1.277", status("F2", "20250110"))
    desk.once()
    assert [row[1:4] for row in desk.claims()] == [(1, True, "Denied")]
    assert desk.rows(payments) == [("TC1", "Denied"), ("TC9", "Pending")]
    desk.put("hospital1_2.csv", CSV + claim("C1", **{**denied, "modified": "2025-01-07"}).replace("TC1", "TC9"))
    desk.once()
    assert desk.rows("SELECT source_transaction_id, delivery_kind FROM silver.claims") == [("TC9", "status")]
    assert desk.rows(payments) == [("TC1", "Pending"), ("TC9", "Denied")]


def test_sums_that_are_larger_than_any_amount_do_not_stop_the_files_behind(desk):
    huge = "999999999999.99"
    desk.put("a_1.835", remit(*[[f"CLP*H{i}*1*{huge}*{huge}**MC*I"] for i in range(3)]))
    desk.put("a_2.835", remit(PAID))
    desk.once()
    assert [row[0] for row in desk.claims()] == ["C1"]
    assert desk.rows("SELECT state, charged::text FROM ops.x12_set ORDER BY file_id") == [
        ("quarantined", "2999999999999.97"), ("posted", "100.00")]


def test_a_file_that_says_what_the_remittance_said_takes_no_adjustments_away(desk):
    with open(desk.daemon.config, encoding="utf-8") as file:
        config = file.read()
    with open(desk.daemon.config, "w", encoding="utf-8") as file:
        file.write(config.replace("claim_status: ClaimStatus,", "claim_status: ClaimStatus, deductible: Deductible, "
                                  "coinsurance: Coinsurance, copay: Copay,"))
    header = CSV.strip() + ",Deductible,Coinsurance,Copay\n"

    def mirrored(number, modified, status, amount, paid, deductible):
        return header + claim(number, modified, status, amount, paid).strip() + f",{deductible},0.00,0.00\n"
    desk.put("a_1.835", remit(PAID, DENIED))
    desk.once()
    before = desk.adjustments("C1")
    assert len(before) == 3
    desk.put("hospital1_1.csv", mirrored("C1", "2025-01-20", "Paid", "100.00", "70.00", "10.00"))
    desk.once()
    assert desk.claims("C1") == [("C1", 1, True, "Paid", "100.00", "70.00", None)]
    assert desk.adjustments("C1") == before
    desk.put("a_2.835", remit(["CLP*C3*1*50*40**MC*I3", "CAS*CO*45*10"], made="20250111"))
    desk.put("hospital1_0.csv", mirrored("C3", "2025-01-25", "Paid", "50.00", "40.00", "0.00"))
    desk.once()
    assert [row[1:4] + row[6:7] for row in desk.adjustments("C3")] == [(1, 0, "CO", "10.00")]


def test_what_settle_gives_a_remittance_does_not_move_when_it_was_known(desk):
    desk.put("hospital1_1.csv", CSV + claim("C1"))
    desk.put("a_1.835", remit(PAID))
    desk.once()
    instant = desk.rows("SELECT clock_timestamp()")[0][0]
    desk.put("hospital1_2.csv", CSV + claim("C1", modified="2025-01-06", filed="2025-01-06"))
    desk.once()
    assert desk.rows("SELECT iteration, claim_date::text FROM silver.claims ORDER BY 1") == [(1, "2025-01-06"), (2, "2025-01-06")]
    assert desk.rows(f"SELECT iteration, claim_date::text FROM silver.claims_known_at('{instant}') ORDER BY 1") == [
        (1, "2025-01-05"), (2, "2025-01-06")]


@pytest.mark.parametrize("suffix, pack", [("gz", gzip.compress), ("zip", zipped)])
def test_a_packed_remittance_is_read_like_a_plain_one(desk, suffix, pack):
    desk.put(f"a_1.835.{suffix}", pack(remit(PAID)))
    desk.once()
    assert desk.claims()[0][3:6] == ("Paid", "100.00", "70.00")


def test_rows_are_not_posted_where_x12_is_taken(desk):
    with desk.serving() as daemon:
        status, _, answer = daemon.post("/v1/claims?feed=claims.remits&source=hospital_a", [{"source_claim_id": "C1"}])
        assert (status, answer["errors"]) == (400, [{"pointer": "?feed", "detail": "claims.remits takes X12 files, not rows"}])


def test_what_was_detected_is_shown_as_the_contract_says(desk):
    desk.put("a_1.835.gz", gzip.compress(remit(PAID)))
    desk.once()
    file_id = desk.rows("SELECT file_id FROM ops.file")[0][0]
    with desk.serving() as daemon:
        entry, document = daemon.get(f"/v1/files/{file_id}")[2], daemon.get("/openapi.json", token=None)[2]
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/File", "components": document["components"]}).validate(entry)
    assert (entry["state"], entry["detected"]["format"], entry["detected"]["packing"]) == ("done", "x12", "gzip")
    assert entry["detected"]["unpacked_bytes"] == len(remit(PAID))


def test_a_remittance_that_is_sent_is_posted_and_its_reasons_are_in_the_figures(desk):
    """Over the API: the payment, the denial's reason seconds later, the same once more, and read again."""
    content = remit(PAID, DENIED)
    sent = {"headers": {"Content-Disposition": 'attachment; filename="a_1.835"', "Content-Type": "application/edi-x12"}}

    def reasons(daemon):
        items = daemon.get("/v1/kpis/denial_reasons?by=group_code,reason_code")[2]["items"]
        return [(item["group_code"], item["reason_code"], item["numerator"]) for item in items if item["method"] == "amount" and item["numerator"]]
    with desk.serving() as daemon:
        status, headers, _ = daemon.post("/v1/files?feed=claims.remits", content, **sent)
        assert status == 202
        where = headers["Location"]
        jobs.until(lambda: daemon.get(where + "?wait=20")[2]["state"] == "done")
        assert jobs.until(lambda: reasons(daemon)) == [("CO", "29", "80.00")]
        posted = desk.claims(), desk.adjustments()
        assert [line[3:6] for line in posted[0]] == [("Paid", "100.00", "70.00"), ("Denied", "80.00", "0.00")]
        status, _, again = daemon.post("/v1/files?feed=claims.remits", content, **sent)
        assert (status, again["state"]) == (200, "duplicate")
        assert daemon.post(where + "/replay", {})[0] == 202
        jobs.until(lambda: desk.rows("SELECT readings, state FROM ops.file ORDER BY file_id LIMIT 1") == [(1, "done")])
        assert (desk.claims(), desk.adjustments()) == posted and reasons(daemon) == [("CO", "29", "80.00")]


SIGNS = ("delimiter", "component_separator", "repetition_separator", "segment_terminator")
WRITTEN = { # an interchange, how it is written, and whether a mark stands before it
    "usual": (remit(PAID), ("*", ":", "^", "~"), False),
    "lines": (b"\xef\xbb\xbf" + remit(PAID).replace(b"~\n", b"\n").replace(b":\n", b">\n").replace(b"HC:", b"HC>"), ("*", ">", "^", "\n"), True),
    "older": (remit(PAID).replace(b"*", b"\x1d").replace(b"\x1d^\x1d", b"\x1dU\x1d"), ("\x1d", ":", None, "~"), False),
    "no text": (remit(PAID).replace(b"~\n", b"\x85").replace(b"*", b"\xa6").replace(b":", b"\x01"), ("0xa6", "\x01", "^", "0x85"), False),
    "two": (b"\n" + remit(PAID) + b"\xef\xbb\xbf" + remit(DENIED).replace(b"*0*P*", b"*0*T*").replace(b"*", b"|"), ("*", ":", "^", "~"), False),
}


def used_as(*codes):
    return b"".join(remit([f"CLP*C{i}*1*10*10**MC*I{i}"]).replace(b"*0*P*", f"*0*{code}*".encode()) for i, code in enumerate(codes))


USAGES = {"P": "production", "I": "information", "T": "test", "X": None, "": None, "PI": "information", "PTI": "test", "IP": "information", "XP": "production"}


def test_what_an_x12_file_calls_itself_stands_with_it(desk):
    for number, codes in enumerate(USAGES):
        desk.put(f"a_{number}.835", used_as(*codes or [""]))
    desk.once()
    said = desk.rows("SELECT f.state, f.detected ->> 'usage' FROM ops.file f ORDER BY f.name")
    assert said == [("done", usage) for usage in USAGES.values()]


@pytest.mark.parametrize("way", WRITTEN)
def test_the_delimiters_that_an_x12_file_declares_stand_with_it(desk, way):
    content, signs, has_mark = WRITTEN[way]
    desk.put("a_1.835", content)
    desk.once()
    [(detected,)] = desk.rows("SELECT detected FROM ops.file")
    assert tuple(detected.get(sign) for sign in SIGNS) == signs and detected["byte_order_mark"] is has_mark
    assert [row[0] for row in desk.claims()] == (["C1", "C2"] if way == "two" else ["C1"])


def test_a_claim_may_stand_several_times_in_one_remittance(desk):
    """Iterations in the order of the files and of their segments; neighbours with equal figures are one."""
    several = [("4", ["CLP*C1*1*10*4**MC*I1", "CAS*CO*45*6"]), ("5", ["CLP*C1*1*10*5**MC*I2", "CAS*CO*45*5"]),
               ("6", ["CLP*C1*1*10*6**MC*I3", "CAS*CO*45*4"])]
    expected = []
    for number, order in enumerate(itertools.permutations(several)):
        desk.put(f"a_{number}.835", remit(*(claim for _, claim in order), made=f"202501{10 + number}"))
        expected += [paid for paid, _ in order]
    desk.once()
    expected = [Decimal(paid) for paid, _ in itertools.groupby(expected)]
    assert desk.rows("SELECT paid_amount FROM silver.claims ORDER BY iteration") == [(paid,) for paid in expected]
    assert desk.rows("SELECT iteration, amount FROM silver.adjustments ORDER BY iteration") == [
        (number, 10 - paid) for number, paid in enumerate(expected, 1)]


@pytest.mark.parametrize("has_own_claim", [False, True], ids=["alone", "beside the claim as sent"])
def test_adjustments_of_a_claim_that_was_misread_go_with_it(desk, has_own_claim):
    """An earlier release gave the remittance to a claim M; read anew it is C2's, and nothing is left of what M had from it."""
    if has_own_claim:
        desk.put("hospital1_1.csv", CSV + claim("C2", amount="80.00") + claim("M", amount="80.00"))
    desk.put("a_1.835", remit(DENIED))
    desk.once()
    right = desk.dump(dump.ORDER)
    assert [line[0] for line in desk.adjustments()] == ["C2"]
    for table in ("claims", "adjustments"):
        desk.store.execute(f"UPDATE silver.{table} t SET source_claim_id = 'M' FROM ops.file f WHERE f.file_id = t.file_id "
                           "AND f.name = 'a_1.835'", desk.database)
    assert [line[0] for line in desk.adjustments()] == ["M"]
    desk.store.execute("UPDATE ops.file SET replay_asked_at = now() WHERE name = 'a_1.835'", desk.database)
    desk.once()
    dump.assert_equal(right, desk.dump(dump.ORDER))
    assert [line[0] for line in desk.adjustments()] == ["C2"]
    assert desk.rows("SELECT count(*) FROM ops.claim_withdrawn") == [(0,)]


def test_what_is_kept_of_a_file_is_its_last_readings(desk):
    """An earlier release had kept less of its sets, and had rejected one."""
    desk.put("hospital1_1.csv", CSV + claim("C1") + claim("C2", amount="80.00"))
    desk.put("a_1.835", remit(PAID, DENIED, plb=["PLB*1*20251231*WO:1*5"]))
    desk.once()
    kept = [f"SELECT * FROM ops.{table} ORDER BY 1, 2" for table in ("x12_set", "x12_provider_adjustment", "x12_acknowledgement")]
    before = [desk.rows(query) for query in kept]
    assert before[0] and before[1]
    desk.store.execute("UPDATE ops.x12_set SET ordered_at = NULL, payer_id = NULL, state = 'quarantined', reason = 'none'; "
                       "DELETE FROM ops.x12_provider_adjustment; "
                       "UPDATE ops.file SET replay_asked_at = now() WHERE name = 'a_1.835'", desk.database)
    desk.once()
    assert [desk.rows(query) for query in kept] == before
