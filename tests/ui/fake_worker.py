"""A worker that answers from a file, and misbehaves on request: `fake_worker.py ANSWERS RECORD`.

Which answer: the entry of the command in ANSWERS; commands under "echo" get their query back as they asked it.
How: by the name of the database asked about.
"""

import json
import os
import signal
import sys
import time

with open(sys.argv[1], encoding="utf-8") as file:
    answers = json.load(file)
record = open(sys.argv[2], "a", encoding="utf-8")  # noqa: SIM115  until the process ends


def say(event):
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def behave(request, how):
    number = request["id"]
    result = answers.get(request["command"])
    if request["command"] in answers.get("echo", ()):
        asked = request["arguments"]["query"]
        result = {**result, "query": {**asked, "columns": asked.get("columns") or result["query"]["columns"]}}
    if how == "dies":
        sys.stderr.write("first line\nlast words\n")
        sys.stderr.flush()
        os._exit(7)
    if how == "fails":
        say({"id": number, "event": "error", "error": {"kind": "user", "what": "No.", "why": "Because.", "do": "Yes."}})
    elif how == "rubbish":
        sys.stdout.write("not json\n[1, 2]\n")
        say({"id": 999, "event": "result", "result": {}})
        say({"id": number, "event": "result", "result": result})
    elif how == "partial":
        text = json.dumps({"id": number, "event": "result", "result": result})
        for piece in (text[:5], text[5:], "\n"):
            sys.stdout.write(piece)
            sys.stdout.flush()
            time.sleep(0.02)
    elif how == "unreadable":
        say({"id": number, "event": "result", "result": {"nonsense": 1}})
    elif how == "progress":
        say({"id": number, "event": "progress", "progress": {"phase": "reading", "fraction": 0.5, "message": "half"}})
        say({"id": number, "event": "result", "result": result})
    elif how == "halfway":
        say({"id": number, "event": "progress", "progress": {"phase": "reading", "fraction": 0.5, "message": "half"}})
    elif how == "tardy":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say({"id": number, "event": "progress", "progress": {"phase": "reading"}})
        time.sleep(1)
        say({"id": number, "event": "result", "result": result})
        time.sleep(0.5)
        os._exit(7)
    elif how == "lingering":
        for step in range(12):
            say({"id": number, "event": "progress", "progress": {"phase": "explaining", "fraction": step / 12}})
            time.sleep(0.1)
        say({"id": number, "event": "result", "result": result})
    elif how == "pid":
        say({"id": number, "event": "result", "result": {**result, "read_only": str(os.getpid())}})
    elif how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say({"id": number, "event": "progress", "progress": {"phase": "reading"}})
        time.sleep(60)
    elif how != "slow":
        say({"id": number, "event": "result", "result": result})


for line in sys.stdin:
    record.write(line)
    record.flush()
    request = json.loads(line)
    if request["command"] == "stop":
        say({"id": request["id"], "event": "stopped"})
    else:
        behave(request, request["arguments"].get("connection", {}).get("database"))
