"""A payer's answer to the sample's claims: an X12 835 per payer, made from the claims files.

Every sixth decided claim of hospital_a is in it: paid less what the contract takes off and the patient's share, or denied
with a reason. The demo drops it beside the claims; tests compare what the daemon makes of it with what was put in.
"""
import csv
import datetime
import glob
import os
from decimal import Decimal, InvalidOperation

from . import x12

CENT = Decimal("0.01")
EVERY = 6
# CARC with a RARC, as payers send them most: (group, reason, remark)
REASONS = (("CO", "29", ""), ("CO", "197", "M62"), ("CO", "16", "N290"), ("CO", "97", "M15"), ("PR", "96", "N130"), ("CO", "50", "N115"))

CONFIG = """# Answers of payers in X12: 835, 277, 999, and claims as they were sent, 837.
claims:
  remittances:
    kind: files
    directory: {directory}
    format: x12
    entity: claims
    every: 30s
    from:
      - {{pattern: "hospital_a_*", source: hospital_a}}
      - {{pattern: "hospital_b_*", source: hospital_b}}
"""


def configure(config, directory):
    """Adds the feed beside the configuration, which stays as it is."""
    os.makedirs(directory, exist_ok=True)
    beside = os.path.join(os.path.dirname(config), "conf.d")
    os.makedirs(beside, exist_ok=True)
    with open(os.path.join(beside, "remittances.yaml"), "w", encoding="utf-8") as file:
        file.write(CONFIG.format(directory=directory))


def claims(data):
    """The newest delivery of each claim of hospital_a that has two readable amounts."""
    found = {}
    for path in sorted(glob.glob(os.path.join(data, "claims", "hospital_a_*.csv"))):
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            for row in csv.DictReader(file):
                try:
                    row["amount"], row["day"] = Decimal(row["ClaimAmount"]), datetime.date.fromisoformat(row["ModifiedDate"][:10])
                except (InvalidOperation, ValueError, TypeError):
                    continue
                if not row["ClaimID"].strip() or row["amount"] <= 0 or row["amount"] != row["amount"].quantize(CENT):
                    continue
                known = found.get(row["ClaimID"])
                if known is None or known["day"] <= row["day"]:
                    found[row["ClaimID"]] = row
    return [found[number] for number in sorted(found)]


def answer(number, claim):
    """Segments of one claim: one service line, paid or denied."""
    amount, service = claim["amount"], claim["ServiceDate"][:10].replace("-", "")
    if claim["ClaimStatus"].strip().title() in ("Denied", "Rejected"):
        group, reason, remark = REASONS[number % len(REASONS)]
        return [f"CLP*{claim['ClaimID']}*4*{amount}*0**MC*ICN{number:08}", f"SVC*HC:99213*{amount}*0**1", f"DTM*472*{service}",
                f"CAS*{group}*{reason}*{amount}", *([f"LQ*HE*{remark}"] if remark else [])]
    taken, share = (amount * 3 / 10).quantize(CENT), (amount / 10).quantize(CENT)
    return [f"CLP*{claim['ClaimID']}*1*{amount}*{amount - taken - share}*{share}*MC*ICN{number:08}",
            f"SVC*HC:99213*{amount}*{amount - taken - share}**1", f"DTM*472*{service}", f"CAS*CO*45*{taken}", f"CAS*PR*2*{share}"]


def generate(data):
    """{file name: content}, and the same claims as lists of segments."""
    known = claims(data)
    decided = [claim for claim in known if claim["ClaimStatus"].strip().title() in ("Paid", "Denied", "Rejected")][::EVERY]
    answers = [answer(number, claim) for number, claim in enumerate(decided)]
    day = (max(claim["day"] for claim in known) + datetime.timedelta(days=14)).strftime("%Y%m%d")
    plb = ["PLB*1234567893*20241231*L6*-12.50"]
    content = x12.envelope("835", [x12.remittance(answers, plb=plb, day=day)], made=day)
    return {f"hospital_a_{day}.835": content}, answers


def drop(data, directory):
    """Puts the files into the drop directory. Returns how many claims they answer."""
    os.makedirs(directory, exist_ok=True)
    files, answers = generate(data)
    for name, content in files.items():
        with open(os.path.join(directory, "." + name), "wb") as file:
            file.write(content)
        os.rename(os.path.join(directory, "." + name), os.path.join(directory, name))
    return len(answers)
