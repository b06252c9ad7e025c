"""What lists of codes say: exactly the code, asked once, kept, told to silver and published; a list that is away fails
nothing."""
import re
import signal

import pytest

from harness.clinical_tables import CodeList
from harness.jobs import until

FEED = {"entity": "transactions", "key": ["ID"], "cursor": "Changed", "cursor_clock": "server",
        "map": {"source_transaction_id": "ID", "procedure_code": "Done", "diagnosis_code": "Found",
                "source_modified_at": "Changed"}}
TABLE = ("CREATE TABLE t (ID int PRIMARY KEY AUTO_INCREMENT, Done varchar(40), Found varchar(40), "
         "Changed timestamp(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), KEY (Changed))")
BRONCHIAL = [{"code": f"J45.{n}", "name": f"Asthma, {n}"} for n in ("909", "20", "21", "901")]
FRACTURES = [{"code": f"S52.{n:04}", "name": f"Fracture {n}"} for n in range(1200)]
BEHIND = [{"code": f"T14.{n:04}", "name": f"Injury {n}"} for n in range(600)]
DIAGNOSES = (*BRONCHIAL, *FRACTURES, *BEHIND, {"code": "I10", "name": "Essential (primary) hypertension"},
             {"code": "E11.9", "name": "  Type 2 diabetes mellitus without complications "},
             {"code": "T14", "name": "Injury of unspecified body region"}, {"code": "O9A.11", "name": "Neoplasm, pregnancy"})
PROCEDURES = ({"code": "A04280", "short_desc": "Not it"},
              {"code": "A0428", "short_desc": "Bls", "long_desc": "Ambulance service, basic life support, non-emergency"},
              {"code": "J9999", "short_desc": "Chemotherapy drug"})
NOTE = "see Ann Lee's note"
ROWS = (("A0428", "I10"), ("J9999", "E11.9"), ("A9999", "J45"), ("99213", "J45.20"), ("XYZ", "S52"), (None, "T14"),
        ("A0428", "Z99.999"), ("A0428", NOTE), ("J9999", "O9A.11"))
CIRCULATION = "Diseases of the circulatory system"
FOUND = {"I10": ("Essential (primary) hypertension", CIRCULATION),
         "E11.9": ("Type 2 diabetes mellitus without complications", "Endocrine, nutritional and metabolic diseases"),
         "J45.20": ("Asthma, 20", "Diseases of the respiratory system"),
         "T14": ("Injury of unspecified body region", "Injury, poisoning and certain other consequences of external causes"),
         "O9A.11": ("Neoplasm, pregnancy", "Pregnancy, childbirth and the puerperium")}
TOLD = {**{code: (*said, "listed") for code, said in FOUND.items()},
        **{code: (None, None, "unlisted") for code in ("J45", "S52", "Z99.999", NOTE.upper())}}
UNTOLD = {code: (None, None, "unlisted" if code == NOTE.upper() else "unchecked") for code in TOLD}
DONE = {"A0428": ("Ambulance service, basic life support, non-emergency", "Transportation Services Including Ambulance",
                  "listed"),
        "J9999": ("Chemotherapy drug", "Chemotherapy Drugs", "listed"),
        **{code: (None, None, "unlisted") for code in ("A9999", "99213", "XYZ")}}
ASKED = sorted(set(TOLD) - {NOTE.upper()})
CACHE = "SELECT code_system, code, outcome, description, category FROM ref.code ORDER BY 1, 2"
# What lists have of their own; faults that any register may have are walked in test_reference.py.
FAULTS = ("errors", "others", "uneven", "huge", "unavailable")


@pytest.fixture
def icd10():
    server = CodeList("/api/icd10cm/v3/search", *DIAGNOSES)
    yield server
    server.stop()


@pytest.fixture
def hcpcs():
    server = CodeList("/api/hcpcs/v3/search", *PROCEDURES)
    yield server
    server.stop()


def service(server):
    return {"endpoint": server.endpoint, "requests_per_second": 1000, "timeout": "1s"}


@pytest.fixture
def house(make_feed, mariadb, icd10, hcpcs):
    house = make_feed(mariadb, FEED)
    house.top["reference"] = {"icd10": service(icd10), "hcpcs": service(hcpcs)}
    house.write()
    house.play(TABLE, *(("INSERT INTO t (Done, Found) VALUES (%s, %s)", row) for row in ROWS))
    return house


def told(house, table="diagnoses", group="chapter"):
    return {code: tuple(said) for code, *said in
            house.rows(f"SELECT code, description, {group}, reference_status FROM silver.{table}")}


def change(house, statement):
    """In the store, as a superuser: times pass."""
    house.store.execute(statement, house.database)


def expire(house):
    change(house, "UPDATE ref.code SET expires_at = now() - interval '1 second'")


def notes(house):
    return [note for (note,) in house.rows("SELECT steps->0->>'note' FROM ops.run WHERE job = 'reference' "
                                           "AND state = 'succeeded' ORDER BY run_id")]


def test_every_code_gets_what_its_list_says(house, icd10, hcpcs):
    house.once()
    assert told(house) == TOLD
    assert told(house, "procedures", "category") == DONE
    assert house.value("SELECT count(*) FROM silver.diagnoses JOIN ops.batch b USING (batch_id) WHERE reference_status = "
                       "'listed' AND b.settled_by = b.batch_id AND b.publication_id IS NULL") == len(FOUND)


def test_only_codes_leave_the_house_and_only_to_their_own_list(house, icd10, hcpcs):
    house.once()
    assert sorted(set(icd10.asked())) == ASKED
    assert sorted(hcpcs.asked()) == ["A0428", "A9999", "J9999"]
    for server, shown in ((icd10, "code,name"), (hcpcs, "code,long_desc,short_desc")):
        for method, path, headers in server.requests:
            assert method == "GET" and set(headers) <= {"Host", "User-Agent", "Accept"}
            assert re.fullmatch(re.escape(server.PATH) + rf"\?sf=code&cf=code&df={shown}&count=500&offset=[0-9]+&terms="
                                r"[A-Z0-9.]+", path), path


def test_a_long_answer_is_read_part_by_part_until_the_code_stands_there(house, icd10, hcpcs):
    house.once()
    assert icd10.asked().count("S52") == 3, "1,200 that begin like it, and it is not one"
    assert icd10.asked().count("T14") == 2, "it stands behind 600 others"
    assert house.rows("SELECT code FROM ref.code WHERE etag IS NULL AND code_system = 'ICD10CM' ORDER BY 1") == [
        ("S52",), ("T14",)], "a part's validators are not the whole's"


def test_a_second_run_asks_nobody_and_changes_nothing(house, icd10, hcpcs):
    house.once()
    asked, cache = len(icd10.requests) + len(hcpcs.requests), house.rows("SELECT * FROM ref.code ORDER BY 1, 2")
    before = house.rows("SELECT * FROM silver.diagnoses ORDER BY 1"), house.rows("SELECT * FROM silver.procedures ORDER BY 1")
    batches = house.value("SELECT count(*) FROM ops.batch")
    house.once()
    assert len(icd10.requests) + len(hcpcs.requests) == asked
    assert house.rows("SELECT * FROM ref.code ORDER BY 1, 2") == cache
    assert (house.rows("SELECT * FROM silver.diagnoses ORDER BY 1"),
            house.rows("SELECT * FROM silver.procedures ORDER BY 1")) == before
    assert house.value("SELECT count(*) FROM ops.batch") == batches


def test_nobody_is_asked_unless_configured(house, icd10, hcpcs):
    del house.top["reference"]["icd10"]
    house.write()
    house.once()
    assert icd10.requests == [] and hcpcs.requests
    assert told(house) == {code: (None, None, "unlisted") for code in TOLD}
    assert told(house, "procedures", "category") == DONE


@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_that_misbehaves_leaves_unchecked_and_later_is_asked_again(house, icd10, hcpcs, fault):
    icd10.faults = [fault]
    house.once()
    assert told(house) == UNTOLD
    assert told(house, "procedures", "category") == DONE, "the other list is asked all the same"
    assert len(notes(house)) == 1 and "the ICD-10-CM list" in notes(house)[0] and "stays unchecked" in notes(house)[0]
    asked = len(icd10.requests)
    house.once()
    assert len(icd10.requests) == asked, "it was to be left alone"
    icd10.faults = []
    change(house, "UPDATE ref.service SET not_before = now()")
    expire(house)
    house.once()
    assert told(house) == TOLD


def test_lists_that_nobody_answers_for_fail_nothing_and_the_run_names_both(house, icd10, hcpcs):
    icd10.stop()
    hcpcs.stop()
    house.once()
    assert told(house) == UNTOLD
    assert "cannot reach the ICD-10-CM list" in notes(house)[0] and "cannot reach the HCPCS list" in notes(house)[0]


def test_an_answer_that_has_run_out_is_asked_for_with_its_validators(house, icd10, hcpcs):
    house.once()
    cache, batches = house.rows(CACHE), house.value("SELECT count(*) FROM ops.batch")
    etags = dict(house.rows("SELECT code, etag FROM ref.code"))
    icd10.requests.clear()
    expire(house)
    house.once()
    assert {code: headers.get("If-None-Match") for code, (_, _, headers) in zip(icd10.asked(), icd10.requests)} == {
        code: etags[code] for code in ASKED}
    assert house.rows(CACHE) == cache
    assert house.value("SELECT count(*) FROM ops.batch") == batches
    assert house.value("SELECT bool_and(expires_at > now() + interval '89 days') FROM ref.code")


@pytest.mark.parametrize("fault", ("unavailable", "garbage"))
def test_what_was_answered_before_still_holds_while_the_list_is_away(house, icd10, hcpcs, fault):
    house.once()
    cache = house.rows(CACHE)
    icd10.faults = [fault]
    expire(house)
    house.once()
    assert told(house) == TOLD
    assert house.rows(CACHE) == cache


def test_a_new_edition_of_the_list_changes_what_silver_says(house, icd10, hcpcs):
    house.once()
    icd10.rows = [{**row, "name": "High blood pressure"} if row["code"] == "I10" else row
                  for row in icd10.rows if row["code"] != "E11.9"] + [{"code": "J45", "name": "Asthma"}]
    expire(house)
    house.once()
    assert told(house) == {**TOLD, "I10": ("High blood pressure", CIRCULATION, "listed"), "E11.9": (None, None, "unlisted"),
                           "J45": ("Asthma", "Diseases of the respiratory system", "listed")}


@pytest.mark.parametrize("point", ("reference.after_kept", "reference.before_commit", "reference.after_commit"))
def test_killed_while_it_keeps_answers_and_started_again_the_end_is_equal(house, icd10, hcpcs, point):
    del house.top["reference"]["hcpcs"]
    house.write()
    # First all are told that they are unchecked; where that is lost, the answers are the second page.
    for passing in (1, 1 if point == "reference.after_commit" else 2):
        done = house.daemon.once(REVCYCLED_FAILPOINT=f"{point}:{passing}")
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
        kept = house.value("SELECT count(*) FROM ref.code WHERE outcome = 'found'")
        assert kept == house.value("SELECT count(*) FROM silver.diagnoses WHERE reference_status = 'listed'")
    house.once()
    assert told(house) == TOLD
    assert house.value("SELECT count(*) FROM ref.code") == len(ASKED)


def test_a_daemon_asks_about_a_new_code_at_once_and_counts(house, icd10, hcpcs):
    house.daemon.make_token()
    house.daemon.start()
    try:
        until(lambda: told(house) == TOLD, what="all are told")
        house.play("INSERT INTO t (Found) VALUES ('J45.21')")
        until(lambda: told(house).get("J45.21") == ("Asthma, 21", "Diseases of the respiratory system", "listed"),
              what="the new one is told")
        metrics = house.daemon.get("/metrics")[2]
        assert re.search(r'revcycle_reference_lookups_total\{service="icd10",outcome="further"\} 3\b', metrics)
        assert re.search(r'revcycle_reference_available\{service="icd10"\} 1\b', metrics)
        assert house.daemon.get("/v1/jobs/reference")[2]["schedule"] == "every 60 min"
        assert "icd10cm/v3" in str(house.daemon.get("/v1/config")[2])
    finally:
        house.daemon.stop()


def test_the_doctor_has_a_line_for_each_list(house, icd10, hcpcs):
    def lines():
        out = house.daemon.run("doctor", timeout=120).stdout
        return {word: text for text in out.splitlines() for word in ("icd10", "hcpcs") if f"reference, {word}" in text}
    assert {word: text.split()[0] for word, text in lines().items()} == {"icd10": "ok", "hcpcs": "ok"}
    hcpcs.faults = ["errors"]
    assert "the HCPCS list cannot be used: its answer is no list of codes" in lines()["hcpcs"]


def test_texts_and_categories_reach_bigquery_with_the_next_publication_and_nothing_else_does(loaded, icd10):
    chapters = {"E": "Endocrine, nutritional and metabolic diseases", "I": CIRCULATION, "J": "Diseases of the respiratory system"}
    code = loaded.value("SELECT code FROM silver.diagnoses WHERE silver.is_icd10cm(code) AND left(code, 1) = ANY (%s) ORDER BY code LIMIT 1",
                        list(chapters))
    procedure = loaded.value("SELECT code FROM silver.procedures WHERE code_system = 'CPT' ORDER BY code LIMIT 1")
    icd10.rows = [{"code": code, "name": "What it is"}]
    path = f"{loaded.directory}/cpt.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"code,description,category\n{procedure},What is done,Its section\n")
    section = f"reference: {{icd10: {{endpoint: '{icd10.endpoint}', requests_per_second: 1000}}, cpt: {{file: '{path}'}}}}\n"
    loaded.configure(lambda text: text + "\n" + section)
    loaded.once()

    def published(table, group, number):
        return [(row["description"], row[group], row["reference_status"]) for row in loaded.warehouse.rows(
            f"SELECT description, {group}, reference_status FROM `healthcare_rcm.{table}` WHERE code = '{number}'")]
    assert published("dim_diagnoses", "chapter", code) == [("What it is", chapters[code[0]], "listed")]
    assert published("dim_procedures", "category", procedure) == [("What is done", "Its section", "listed")]
    tables = loaded.value("SELECT tables FROM ops.publication WHERE state = 'succeeded' ORDER BY publication_id DESC LIMIT 1")
    assert sorted(tables) == ["dim_diagnoses", "dim_procedures"], tables
