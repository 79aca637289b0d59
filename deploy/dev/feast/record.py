"""Sends the requests of requests_of.py to a Feast feature server and keeps its answers.

    record.py http://127.0.0.1:6566 answers.jsonl

One line per request: the request, the status, the answer. Times in answers are kept as "{T-60}" too, so that the
answers can be compared at any later time.
"""

import json
import re
import sys
from datetime import datetime, timedelta, timezone

import requests as http

from requests_of import requests

PLACE = re.compile(r"\{T-([0-9.]+)(?:\|(\w+))?\}")
FORMS = {
    None: lambda time: time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    "naive": lambda time: time.replace(tzinfo=None).isoformat(),
    "space": lambda time: time.replace(tzinfo=None).isoformat(sep=" "),
    "offset": lambda time: time.astimezone(timezone(timedelta(hours=2))).isoformat(),
}


def fill(text, start):
    """Puts times in the places of a request's text."""

    def put(found):
        time = start - timedelta(seconds=float(found[1]))
        return FORMS[found[2]](time)

    return PLACE.sub(put, text)


def relative(answer, start):
    """The answer with event times told from the start of the comparison."""
    if not isinstance(answer, dict):
        return answer
    for result in answer.get("results", []):
        times = result.get("event_timestamps", [])
        result["event_timestamps"] = [shift(time, start) for time in times]
    return answer


def shift(text, start):
    if text.startswith("1970-01-01T00:00:00"):
        return text
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return f"{{T-{(start - time).total_seconds():g}}}"


def send(server, request, start):
    """One request's answer as it is kept."""
    body = request["body"]
    text = body if isinstance(body, str) else None if body is None else json.dumps(body, ensure_ascii=False)
    data = None if text is None else fill(text, start).encode()
    response = http.request(
        request["method"],
        server + request["path"],
        data=data,
        headers={"Content-Type": "application/json"},
    )
    try:
        answer = relative(response.json(), start)
    except ValueError:
        answer = {"text": response.text}
    return request | {"status": response.status_code, "answer": answer}


def main():
    server, path = sys.argv[1:]
    start = datetime.now(timezone.utc).replace(microsecond=0)
    with open(path, "w", encoding="utf-8") as kept:
        for request in requests():
            print(json.dumps(send(server, request, start), ensure_ascii=False), file=kept)


if __name__ == "__main__":
    main()
