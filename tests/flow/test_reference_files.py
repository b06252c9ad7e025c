"""Lists of the customer's: what CPT codes mean, and how payers are called. A file that cannot be read fails nothing."""
import re
import signal

import pytest

from harness.jobs import until

FACTS = {"entity": "transactions", "key": ["ID"], "cursor": "Changed", "cursor_clock": "server",
         "map": {"source_transaction_id": "ID", "procedure_code": "Done", "source_payer_id": "Payer",
                 "source_modified_at": "Changed"}}
TABLE = ("CREATE TABLE t (ID int PRIMARY KEY AUTO_INCREMENT, Done varchar(40), Payer varchar(40) "
         "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, Changed timestamp(6) DEFAULT current_timestamp(6) "
         "ON UPDATE current_timestamp(6), KEY (Changed))")
ROWS = (("99213", "ACME"), ("0001F", "ACME"), ("70010", "Beta"), ("A0428", None), ("HOUSE1", None))
CPT = "Code,Category,Description\n99213,Evaluation,\"Made-up visit, short\"\n0001f,,Made-up measure\n10021,Surgery,Unused\n"
KNOWN = {"99213": ("Made-up visit, short", "Evaluation", "listed"), "0001F": ("Made-up measure", None, "listed"),
         "70010": (None, None, "unlisted")}
OTHERS = {code: (None, None, "unlisted") for code in ("A0428", "HOUSE1")}

MEMBERS = {"entity": "payers", "key": ["ID"], "cursor": "Changed", "cursor_clock": "server",
           "map": {"source_payer_id": "ID", "name": "Name", "payer_type": "Kind", "source_modified_at": "Changed"}}
MEMBER_TABLE = ("CREATE TABLE t (ID varchar(8) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, Name varchar(40), "
                "Kind varchar(20), Changed timestamp(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), "
                "KEY (Changed))")
MEMBER_ROWS = (("P1", "AETNA, Inc.", "HMO"), ("P2", "Blue-Cross", None), ("P3", "Other", "Own"), ("P4", None, None),
               ("P5", "aetna inc", None))
PAYERS = ("alias;payer_name;payer_type;source_system\n"
          "Aetna Inc;Aetna;Commercial;\naetna inc.;Aetna;Commercial;\n"  # the same twice
          "blue cross;Blue Cross;;\nBlue Cross;The Blues;;elsewhere\n"
          "P3;Third Payer;Medicaid;h\nP4;By Its Id;;\n")
CALLED = {"P1": ("Aetna", "Commercial", "listed"), "P2": ("Blue Cross", None, "listed"),
          "P3": ("Third Payer", "Medicaid", "listed"), "P4": ("By Its Id", None, "listed"),
          "P5": ("Aetna", "Commercial", "listed")}


def change(house, statement):
    house.store.execute(statement, house.database)


def codes(house):
    return {code: tuple(said) for code, *said in
            house.rows("SELECT code, description, category, reference_status FROM silver.procedures")}


def payers(house):
    return {code: tuple(said) for code, *said in
            house.rows("SELECT source_payer_id, payer_name, payer_type, reference_status FROM silver.payers")}


def notes(house):
    return [note for (note,) in house.rows("SELECT steps->0->>'note' FROM ops.run WHERE job = 'reference' "
                                           "AND state = 'succeeded' ORDER BY run_id")]


@pytest.fixture
def listed(make_feed, mariadb, tmp_path):
    """Makes a hospital with a file: listed("cpt", text, feed, table, ROWS)."""
    def make(name, text, feed, *statements):
        house = make_feed(mariadb, feed)
        house.list = tmp_path / f"{name}.csv"
        if text is not None:
            house.list.write_text(text)
        house.top["reference"] = {name: {"file": str(house.list), "every": "1s"}}
        house.write()
        house.play(*statements)
        return house
    return make


@pytest.fixture
def house(listed):
    return listed("cpt", CPT, FACTS, TABLE, *(("INSERT INTO t (Done, Payer) VALUES (%s, %s)", row) for row in ROWS))


@pytest.fixture
def desk(listed):
    return listed("payers", PAYERS, MEMBERS, MEMBER_TABLE,
                  *(("INSERT INTO t (ID, Name, Kind) VALUES (%s, %s, %s)", row) for row in MEMBER_ROWS))


def test_codes_of_the_file_get_its_texts_and_others_of_its_kind_are_not_listed(house):
    house.once()
    assert codes(house) == {**KNOWN, **OTHERS}
    assert house.value("SELECT count(*) FROM silver.procedures JOIN ops.batch b USING (batch_id) WHERE reference_status = "
                       "'listed' AND b.settled_by = b.batch_id AND b.publication_id IS NULL") == 2


def test_the_same_file_again_changes_nothing(house):
    house.once()
    before = house.rows("SELECT * FROM silver.procedures ORDER BY 1"), house.rows("SELECT * FROM ref.code ORDER BY 1, 2")
    loaded, batches = house.value("SELECT loaded_at FROM ref.list"), house.value("SELECT count(*) FROM ops.batch")
    house.once()
    assert (house.rows("SELECT * FROM silver.procedures ORDER BY 1"),
            house.rows("SELECT * FROM ref.code ORDER BY 1, 2")) == before
    assert house.value("SELECT loaded_at FROM ref.list") == loaded
    assert house.value("SELECT count(*) FROM ops.batch") == batches


def test_another_edition_takes_the_place_of_the_first(house):
    house.once()
    house.list.write_text("code,description,category\n99213,Another text,Evaluation\n70010,Now here,\n")
    house.once()
    assert codes(house) == {**OTHERS, "99213": ("Another text", "Evaluation", "listed"), "0001F": (None, None, "unlisted"),
                            "70010": ("Now here", None, "listed")}


BROKEN = {"its first line names no column `description`": "code,text\n99213,x\n",
          "line 3 has 3 fields, its first line 2": "code,description\n99213,x\n70010,a, b\n",
          "lines 2 and 4 say different things of the same": "code,description\n0001F,x\n70010,y\n0001f,z\n",
          "it lists nothing": ""}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_file_that_cannot_be_read_leaves_what_it_said_before(house, sentence):
    house.once()
    house.list.write_text(BROKEN[sentence])
    house.play("INSERT INTO t (Done) VALUES ('10021'), ('99999')")
    house.once()
    assert codes(house) == {**KNOWN, **OTHERS, "10021": ("Unused", "Surgery", "listed"), "99999": (None, None, "unlisted")}
    assert sentence in notes(house)[-1] and "holds" in notes(house)[-1]
    doctor = [line for line in house.daemon.run("doctor", timeout=120).stdout.splitlines() if "reference, cpt" in line]
    assert (doctor[0].split()[0] == "ok") == ("different" in sentence)  # without the store it does not compare lines


@pytest.mark.parametrize("kind", ("absent", "directory", "fifo"))
def test_a_file_that_was_never_read_leaves_its_codes_unchecked(listed, kind, tmp_path):
    import os
    house = listed("cpt", None, FACTS, TABLE, "INSERT INTO t (Done) VALUES ('99213'), ('A0428')")
    {"absent": lambda path: None, "directory": os.mkdir, "fifo": os.mkfifo}[kind](house.list)
    house.once()
    assert codes(house) == {"99213": (None, None, "unchecked"), "A0428": (None, None, "unlisted")}
    assert str(house.list) in notes(house)[0]


@pytest.mark.parametrize("point", ("reference.after_kept", "reference.before_commit", "reference.after_commit"))
def test_killed_while_it_keeps_a_file_and_started_again_the_end_is_equal(house, point):
    done = house.daemon.once(REVCYCLED_FAILPOINT=point)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    is_there = point == "reference.after_commit"
    assert (house.value("SELECT count(*) FROM ref.list"), house.value("SELECT count(*) FROM ref.code"),
            codes(house) == {**KNOWN, **OTHERS}) == ((1, 3, True) if is_there else (0, 0, False))
    house.once()
    assert codes(house) == {**KNOWN, **OTHERS}
    assert house.value("SELECT row_count FROM ref.list") == 3


def test_payers_are_called_as_the_file_says(desk):
    desk.once()
    assert payers(desk) == CALLED
    batches = desk.value("SELECT count(*) FROM ops.batch")
    desk.once()
    assert desk.value("SELECT count(*) FROM ops.batch") == batches


def test_what_the_file_no_longer_names_is_called_as_the_hospital_does(desk):
    desk.once()
    desk.list.write_text("alias,payer_name\nBlue Cross,The Blues\n")
    desk.once()
    assert payers(desk) == {"P1": (None, "HMO", "unlisted"), "P2": ("The Blues", None, "listed"),
                            "P3": (None, "Own", "unlisted"), "P4": (None, None, "unlisted"), "P5": (None, None, "unlisted")}
    assert desk.value("SELECT count(*) FROM ref.payer_before") == 1


def test_a_payer_that_the_hospital_changes_is_told_anew(desk):
    desk.once()
    desk.play("UPDATE t SET Kind = 'PPO' WHERE ID = 'P1'", "UPDATE t SET Name = 'Beta' WHERE ID = 'P2'")
    desk.once()
    assert payers(desk) == {**CALLED, "P2": (None, None, "unlisted")}
    desk.list.write_text("alias,payer_name\nnobody,Nobody\n")
    desk.once()
    assert payers(desk)["P1"] == (None, "PPO", "unlisted"), "what it says now, not what it said first"


def test_two_spellings_of_one_alias_may_not_differ(desk):
    desk.list.write_text("alias,payer_name\nBlue-Cross,One\nother,x\nBLUE CROSS,Two\n")
    desk.once()
    assert "lines 2 and 4 say different things of the same" in notes(desk)[0]
    assert {said[2] for said in payers(desk).values()} == {"unchecked"}


def test_a_payer_that_only_facts_name_still_learns_its_greatest_spelling(listed):
    house = listed("payers", "alias,payer_name\nacme,Acme Health\n", FACTS, TABLE, "INSERT INTO t (Payer) VALUES ('ACME')")
    house.once()
    assert house.rows("SELECT name, payer_name, reference_status FROM silver.payers") == [("ACME", "Acme Health", "listed")]
    house.play("INSERT INTO t (Payer) VALUES ('acme')")
    house.once()
    assert house.rows("SELECT name, payer_name, reference_status FROM silver.payers") == [("acme", "Acme Health", "listed")]


def test_a_daemon_sees_another_file_by_itself(house):
    house.daemon.make_token()
    house.daemon.start()
    try:
        until(lambda: codes(house) == {**KNOWN, **OTHERS}, what="the file is told")
        house.list.write_text("code,description\n99213,Another text\n")
        until(lambda: codes(house)["99213"] == ("Another text", None, "listed"), what="the other one is told")
        assert re.search(r'revcycle_reference_available\{service="cpt"\} 1\b', house.daemon.get("/metrics")[2])
        house.list.write_text("code\n")
        until(lambda: re.search(r'revcycle_reference_available\{service="cpt"\} 0\b', house.daemon.get("/metrics")[2]),
              what="the metric says that it cannot be read")
    finally:
        house.daemon.stop()


def test_figures_follow_a_file_that_says_another_type_of_a_payer(listed):
    says = "alias;payer_name;payer_type;source_system\nACME;Acme;{};\n".format
    feed = {**FACTS, "map": {**FACTS["map"], "amount": "Amount", "service_date": "Served"}}
    house = listed("payers", says("Commercial"), feed, TABLE.replace("Done ", "Amount decimal(9,2), Served date, Done "),
                   "INSERT INTO t (Payer, Amount, Served) VALUES ('ACME', 100, '2025-03-04')")

    def types():
        return house.rows("SELECT DISTINCT line ->> 'payer_type' FROM (SELECT result FROM ops.kpi_snapshot WHERE kpi = 'payer_mix' "
                          "ORDER BY known_at DESC LIMIT 1) AS newest, jsonb_array_elements(result) AS line ORDER BY 1")
    house.daemon.make_token()
    house.daemon.start()
    until(lambda: types() == [("Commercial",)], what="the figure knows the file")
    house.list.write_text(says("Medicaid"))
    until(lambda: types() == [("Medicaid",)], what="it knows the other one")
