"""What codes of adjustments mean: groups by words of our own, reasons (CARC) and remarks (RARC) by the customer's files."""
import os

from harness import dump, x12
from test_remittances import DENIED, PAID, desk, make_desk, remit  # noqa: F401  (fixtures, and what they are given)

ODD = ["CLP*C3*4*50*0**MC*ICN3", "CAS*PI*B7*30**A1*20", "MOA***MA01*N999"]
CARC = "code,description,category\n29,\"Made-up: too late\",Time\n45,Made-up: above the fee,\nb7,Made-up: not eligible,\n250,Unused,\n"
RARC = "Code;Description\nN211;Made-up: no appeal\nMA01;\"Made-up: rights; and duties\"\n"
GROUPS = {"CO": "contractual obligation", "PR": "patient responsibility", "PI": "payer initiated", "OA": "other",
          "CR": "correction or reversal"}
# by group, reason and remarks: what the figure says beside them
TEXTS = {("CO", "29", "N211"): ("Made-up: too late", "N211: Made-up: no appeal"),
         ("PI", "B7", "MA01,N999"): ("Made-up: not eligible", "MA01: Made-up: rights; and duties"),
         ("PI", "A1", "MA01,N999"): (None, "MA01: Made-up: rights; and duties")}


def lists(desk, **files):  # noqa: F811
    """Names the files in the configuration; a text of None is a file that is not there."""
    with open(desk.daemon.config, encoding="utf-8") as file:
        config = file.read()
    for name, text in files.items():
        path = os.path.join(os.path.dirname(desk.daemon.config), f"{name}.csv")
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        if f"{name}: {{file:" not in config:
            config += ("" if "\nreference:" in config else "reference:\n") + f"  {name}: {{file: {path}}}\n"
    with open(desk.daemon.config, "w", encoding="utf-8") as file:
        file.write(config)


def codes(desk):  # noqa: F811
    return {(system, code): tuple(said) for system, code, *said in desk.rows(
        "SELECT code_system, code, description, category, reference_status FROM silver.adjustment_codes")}


def figure(desk, by="{group_code,reason_code,remark_codes}"):  # noqa: F811
    return {row[:3]: row[3:] for row in desk.rows(
        f"SELECT group_code, reason_code, remark_codes, group_text, reason_text, remark_texts "
        f"FROM kpi.denial_reasons('2030-01-01', '{by}') WHERE method = 'count'")}


def test_reasons_and_remarks_have_the_texts_of_the_files_and_groups_our_own(desk):  # noqa: F811
    lists(desk, carc=CARC, rarc=RARC)
    desk.put("a_1.835", remit(PAID, DENIED, ODD))
    desk.once()
    found = codes(desk)
    assert {key: said for key, said in found.items() if key[0] != "CAGC"} == {
        ("CARC", "45"): ("Made-up: above the fee", None, "listed"), ("CARC", "29"): ("Made-up: too late", "Time", "listed"),
        ("CARC", "B7"): ("Made-up: not eligible", None, "listed"), ("CARC", "A1"): (None, None, "unlisted"),
        ("CARC", "1"): (None, None, "unlisted"), ("RARC", "N130"): (None, None, "unlisted"),
        ("RARC", "N211"): ("Made-up: no appeal", None, "listed"), ("RARC", "N999"): (None, None, "unlisted"),
        ("RARC", "MA01"): ("Made-up: rights; and duties", None, "listed")}
    assert {code for system, code in found if system == "CAGC"} == {"CO", "PR", "PI"}
    for code in ("CO", "PR", "PI"):
        assert found["CAGC", code][0].startswith(GROUPS[code]) and found["CAGC", code][2] == "listed"
    assert {key: said[1:] for key, said in figure(desk).items()} == TEXTS
    assert {key[0]: said[0] for key, said in figure(desk).items()} == {code: found["CAGC", code][0] for code in ("CO", "PI")}
    assert desk.rows("SELECT count(*) FROM gold.dim_adjustment_codes") == [(len(found),)]
    assert desk.rows("SELECT count(*) FROM silver.adjustment_codes JOIN ops.batch USING (batch_id)") == [(len(found),)]


def test_each_group_code_has_a_text_and_what_is_none_has_not(desk):  # noqa: F811
    for code, begins in GROUPS.items():
        assert desk.rows(f"SELECT silver.group_code_text('{code}')")[0][0].startswith(begins)
    assert desk.rows("SELECT silver.group_code_text('XX'), silver.group_code_text('co'), silver.group_code_text(NULL)") == [
        (None, None, None)]


def test_without_a_list_a_code_stands_alone(desk):  # noqa: F811
    desk.put("a_1.835", remit(DENIED, ODD))
    desk.once()
    assert {said for key, said in codes(desk).items() if key[0] != "CAGC"} == {(None, None, "unlisted")}
    assert {key: said[1:] for key, said in figure(desk).items()} == {key: (None, None) for key in TEXTS}
    assert {said for said in figure(desk, "{month}").values()} == {(None, None, None)}


def test_a_list_that_cannot_be_read_leaves_its_codes_unchecked_and_the_other_list_as_it_is(desk):  # noqa: F811
    lists(desk, carc=None, rarc=RARC)
    desk.put("a_1.835", remit(DENIED))
    desk.once()
    assert codes(desk)["CARC", "29"] == (None, None, "unchecked")
    assert codes(desk)["RARC", "N211"] == ("Made-up: no appeal", None, "listed")
    assert desk.rows("SELECT steps->0->>'note' FROM ops.run WHERE job = 'reference' ORDER BY run_id")[0][0].startswith(
        "the file of reason codes, ")


def test_another_edition_changes_the_texts_and_no_figure(desk):  # noqa: F811
    lists(desk, carc=CARC, rarc=RARC)
    desk.put("a_1.835", remit(DENIED))
    desk.once()
    kept = desk.rows("SELECT count(*), min(result::text) FROM ops.kpi_snapshot WHERE kpi = 'denial_reasons'")
    assert kept[0][0] == 1 and '"29"' in kept[0][1] and "Made-up" not in kept[0][1]
    lists(desk, carc="code,description\n29,Another text\n")
    desk.once()
    assert figure(desk)["CO", "29", "N211"][1:] == ("Another text", "N211: Made-up: no appeal")
    assert desk.rows("SELECT count(*), min(result::text) FROM ops.kpi_snapshot WHERE kpi = 'denial_reasons'") == kept


def test_which_codes_were_named_does_not_depend_on_the_order(make_desk):  # noqa: F811
    """A remittance made again names another reason: of the first one no adjustment is left."""
    files = [("a_1.835", remit(["CLP*C1*1*100*70**MC*I", "CAS*CO*97*30", "MOA***M15"], number="E1")),
             ("a_2.835", remit(["CLP*C1*1*100*70**MC*I", "CAS*CO*45*30"], number="E1", made="20250120"))]
    states = []
    for order in (files, files[::-1]):
        desk = make_desk()  # noqa: F811
        for name, content in order:
            desk.put(name, content)
            desk.once()
        assert [row[4] for row in desk.adjustments()] == ["45"]
        states.append(desk.dump())
    dump.assert_equal(*states)
    assert set(codes(desk)) == {("CAGC", "CO"), ("CARC", "45"), ("CARC", "97"), ("RARC", "M15")}


def test_the_api_shows_the_texts_and_asks_by_codes_alone(desk):  # noqa: F811
    lists(desk, carc=CARC, rarc=RARC)
    desk.put("a_1.835", remit(DENIED))
    desk.once()
    with desk.serving() as daemon:
        status, _, answer = daemon.get("/v1/kpis/denial_reasons?by=reason_code&as_of=2030-01-01")
        assert status == 200
        assert {(item["group_code"], item["group_text"], item["reason_code"], item["reason_text"], item["remark_texts"])
                for item in answer["items"]} == {(None, None, "29", "Made-up: too late", None)}
        assert daemon.get("/v1/kpis/denial_reasons?by=reason_text")[0] == 400


def test_adjustments_from_before_there_were_texts_have_their_codes_too(postgres, database_name):
    """0068 in a database that has adjustments: their codes come in a batch that the next publication takes; and so do those that only
    a delivery bears which does not show (0090)."""
    name = postgres.create_database(database_name)
    try:
        postgres.apply_migrations(name, upto="0066")
        link = postgres.connect(name)
        with link, link.cursor() as cursor:
            cursor.execute("INSERT INTO silver.adjustments (adjustment_key, source_system, source_claim_id, iteration, service_line, "
                           "group_code, reason_code, position, remark_codes, amount, batch_id) VALUES "
                           "(1, 'h', 'C1', 1, 0, 'CO', '45', 1, NULL, 5, 1), (2, 'h', 'C1', 1, 1, 'PR', '96', 1, 'N130,M15', 5, 1)")
            cursor.execute("INSERT INTO silver.claims_absorbed (claim_key, source_system, source_claim_id, iteration, is_final, source_hash, "
                           "record_hash, mapping_version, batch_id, adjustment_list) VALUES (1, 'h', 'C1', 1, false, 1, decode(repeat('11', 16), 'hex'), 1, 1, '0|OA|23|1|500||;1|CO|97|1|300|2|M15,MA01'), "
                           "(2, 'h', 'C2', 1, false, 2, decode(repeat('12', 16), 'hex'), 1, 1, NULL)")
        postgres.apply_migrations(name)
        with link, link.cursor() as cursor:
            cursor.execute("SELECT b.rows_changed, code_system, code, reference_status FROM silver.adjustment_codes JOIN ops.batch b USING (batch_id) "
                           "WHERE b.publication_id IS NULL AND b.settled_by = b.batch_id ORDER BY b.batch_id, 2, 3")
            assert cursor.fetchall() == [(6, "CAGC", "CO", "listed"), (6, "CAGC", "PR", "listed"), (6, "CARC", "45", "unlisted"),
                                         (6, "CARC", "96", "unlisted"), (6, "RARC", "M15", "unlisted"), (6, "RARC", "N130", "unlisted"),
                                         (4, "CAGC", "OA", "listed"), (4, "CARC", "23", "unlisted"), (4, "CARC", "97", "unlisted"),
                                         (4, "RARC", "MA01", "unlisted")]
        link.close()
    finally:
        postgres.drop_database(name)
