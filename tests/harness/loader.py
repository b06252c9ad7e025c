"""Loads a directory of two hospitals' CSV files into two MariaDB databases.

The directory holds hospital-a/, hospital-b/ and claims/. A hospital's folder may bring its own
`schema.sql` (CREATE TABLE statements; each table is filled from TABLE.csv, the field \\N is NULL).
Without one it is the sample of two hospitals that its README describes: text is nvarchar(50)
(Address 100), ids are text primary keys, dates are `date`, money is `float`, nothing is NULL.
"""
import csv
import os
import re
import shutil
import tempfile

HOSPITALS = ("hospital_a", "hospital_b")
KEYS = {"patients": ("PatientID", "ID"), "providers": ("ProviderID",), "departments": ("DeptID",),
        "encounters": ("EncounterID",), "transactions": ("TransactionID",)}
CURSORS = ("ModifiedDate", "Updated_Date")
DATES = ("DOB", "InsertDate", "InsertedDate", "ServiceDate", "PaidDate", "VisitDate", "EncounterDate",
         *CURSORS)
TYPES = {"Address": "nvarchar(100)", "Amount": "float", "PaidAmount": "float", "ProcedureCode": "int",
         "NPI": "bigint", **{name: "date" for name in DATES}}


def folder_of(hospital):
    return hospital.replace("_", "-")


def database_of(hospital):
    return f"{hospital}_db"


def _header(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))


def readme_schema(folder):
    """CREATE TABLE statements for a folder without schema.sql, from the headers of its files."""
    for table, keys in KEYS.items():
        columns = _header(os.path.join(folder, f"{table}.csv"))
        lines = [f"`{name}` {TYPES.get(name, 'nvarchar(50)')} NOT NULL" for name in columns]
        lines += [f"PRIMARY KEY (`{key}`)" for key in keys if key in columns]
        lines += [f"KEY (`{name}`)" for name in columns if name in CURSORS]
        yield f"CREATE TABLE `{table}` ({', '.join(lines)}) ENGINE=InnoDB"


def schema_statements(folder):
    path = os.path.join(folder, "schema.sql")
    if not os.path.exists(path):
        return list(readme_schema(folder))
    with open(path, encoding="utf-8") as file:
        text = "\n".join(line for line in file.read().splitlines() if not line.startswith("--"))
    return [part.strip() for part in text.split(";") if part.strip()]


def table_of(statement):
    return re.match(r"CREATE TABLE `?(\w+)`?", statement, re.I).group(1)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _write_load_file(path, out):
    """CSV as the tab-separated form of LOAD DATA, whose own reading of quoted CSV takes the
    word NULL for an SQL NULL: fifteen patients are called that."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        columns = next(rows)
        for row in rows:
            out.write("\t".join(field if field == "\\N" else field.translate(_ESCAPES) for field in row))
            out.write("\n")
    out.flush()
    return columns


def load_lines(cursor, table, path, columns=()):
    """Fills a table from one file as LOAD DATA reads it. Returns the number of rows."""
    names = f"({', '.join(f'`{name}`' for name in columns)})" if columns else ""
    cursor.execute(f"LOAD DATA LOCAL INFILE %s INTO TABLE `{table}` CHARACTER SET utf8mb4 {names}", (path,))
    loaded = cursor.rowcount
    cursor.execute("SHOW WARNINGS")
    warnings = cursor.fetchall()
    if warnings:
        raise RuntimeError(f"loading {table} gave warnings, the first: {warnings[0][2]}")
    return loaded


def load_table(cursor, table, path):
    """Fills a table from one CSV file, columns by name. Returns the number of rows."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".tsv") as out:
        columns = _write_load_file(path, out)
        return load_lines(cursor, table, out.name, columns)


def load_hospital(server, data, hospital, database=None):
    """Makes the hospital's database anew and fills it. Returns {table: rows}."""
    folder = os.path.join(data, folder_of(hospital))
    database = database or database_of(hospital)
    server.drop_database(database)
    server.create_database(database)
    counts = {}
    link = server.connect(database)
    try:
        with link.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES', unique_checks = 0")
            for statement in schema_statements(folder):
                cursor.execute(statement)
                if statement.upper().startswith("CREATE TABLE"):
                    table = table_of(statement)
                    counts[table] = load_table(cursor, table, os.path.join(folder, f"{table}.csv"))
    finally:
        link.close()
    return counts


def claims_files(data):
    folder = os.path.join(data, "claims")
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if not name.startswith("."))


def drop_file(path, directory, name=None):
    """Puts a file into the drop directory as a careful sender does: complete, then renamed."""
    name = name or os.path.basename(path)
    part = os.path.join(directory, f".{name}.part")
    shutil.copyfile(path, part)
    os.rename(part, os.path.join(directory, name))


def drop_claims(data, directory):
    """Puts every claims file of the data into the drop directory. Returns their number."""
    os.makedirs(directory, exist_ok=True)
    files = claims_files(data)
    for path in files:
        drop_file(path, directory)
    return len(files)
