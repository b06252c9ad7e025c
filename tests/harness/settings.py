"""Fills in a configuration template: @NAME@ becomes a value, a name left over is an error."""
import os
import re
import secrets

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TWO_HOSPITALS = os.path.join(ROOT, "tests", "data", "two-hospitals.yaml.in")


# Of a configuration that str.format() fills in: a hospital nobody answers for, where no source is needed.
ABSENT_HOSPITAL = """sources:
  hospital_a:
    kind: mysql
    host: 127.0.0.1
    port: 1
    database: nowhere
    user: nobody
    tls: "off"
    timezone: America/New_York
    feeds:
      departments: {{ entity: departments, key: [DeptID], every: 1h, map: {{ source_department_id: DeptID, name: Name }} }}
"""

def template_of(data):
    """The template a data directory brings, or the one of the two-hospitals layout."""
    own = os.path.join(data, "revcycled.yaml.in")
    return own if os.path.exists(own) else TWO_HOSPITALS


def write_config(template, path, values):
    with open(template, encoding="utf-8") as file:
        text = file.read()
    body = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match.group(1)]),
                  "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(body + "\n")
    return path


def write_passfile(path, server, *users):
    """libpq's password file: the DSN names it, so that no password stands in the configuration."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        for user in users:
            file.write(f"{server.host}:{server.port}:*:{user}:{server.password(user)}\n")
    return path


def write_audit_key(path):
    """The key of the audit trail's seals, the same over all runs on one directory."""
    if not os.path.exists(path):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    return path


def values(mysql, store, emulator_endpoint, project, directory, database, drop, api_port,
           hospitals=("hospital_a_db", "hospital_b_db")):
    """What the templates ask for, from servers that run."""
    passfile = write_passfile(os.path.join(directory, "pgpass"), store, "revcycled", "revcycle_owner")
    return {
        "API_PORT": api_port, "AUDIT_KEY_FILE": write_audit_key(os.path.join(directory, "audit.key")),
        "STORE_DSN": f"{store.dsn(database)} passfile={passfile}",
        "STORE_OWNER_DSN": f"{store.dsn(database, 'revcycle_owner')} passfile={passfile}",
        "MYSQL_PORT": mysql.port, "MYSQL_USER": "revcycle_ro", "MYSQL_CA": mysql.ca_file(),
        "MYSQL_PASSWORD_FILE": mysql.password_file("revcycle_ro"), "MYSQL_ZONE": mysql.zone,
        "HOSPITAL_A_DATABASE": hospitals[0], "HOSPITAL_B_DATABASE": hospitals[1],
        "CLAIMS_DROP": drop, "BIGQUERY_ENDPOINT": emulator_endpoint, "BIGQUERY_PROJECT": project,
    }
