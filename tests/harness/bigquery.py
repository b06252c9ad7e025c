"""Asks BigQuery (the emulator) over REST, and nothing else: no client library of ours or theirs."""
import json
import urllib.error
import urllib.request


class BigQuery:
    def __init__(self, endpoint, project, dataset="healthcare_rcm"):
        self.base = f"{endpoint}/bigquery/v2/projects/{project}"
        self.dataset = dataset

    def _call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data=data,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def tables(self):
        """Names of the dataset's tables and views; none when there is no dataset."""
        try:
            answer = self._call(f"/datasets/{self.dataset}/tables?maxResults=1000")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return sorted(table["tableReference"]["tableId"] for table in answer.get("tables", []))

    def table(self, name):
        return self._call(f"/datasets/{self.dataset}/tables/{name}")

    def rows(self, query):
        """Rows as dictionaries of text, None and lists, page by page to the end."""
        answer = self._call("/queries", {"query": query, "useLegacySql": False, "maxResults": 50000})
        job = answer["jobReference"]["jobId"]
        fields = [field["name"] for field in answer["schema"]["fields"]]
        while True:
            for row in answer.get("rows", []):
                yield dict(zip(fields, (self._value(cell["v"]) for cell in row["f"])))
            token = answer.get("pageToken")
            if not token:
                return
            answer = self._call(f"/queries/{job}?pageToken={token}&maxResults=50000")

    def play(self, statement):
        """A statement that changes rows."""
        self._call("/queries", {"query": statement, "useLegacySql": False})

    @classmethod
    def _value(cls, value):
        if isinstance(value, list):
            return [cls._value(cell["v"]) for cell in value]
        if isinstance(value, dict) and "f" in value:
            return [cls._value(cell["v"]) for cell in value["f"]]
        return value

    def value(self, query):
        """The first column of the first row."""
        return next(iter(next(iter(self.rows(query))).values()))
