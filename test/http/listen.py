"""Reads an event stream with the standard library alone, and resumes it whenever it breaks.

listen.py HOST PORT PATH LAST: prints the data of each message, and "lost" with its data, until the data is LAST.
"""

import http.client
import sys

host, port, path, last = sys.argv[1:]
position = ""
done = False


def read(response):
    """Reads one connection to its end. The id of the last complete block is where the next one begins."""
    global position, done
    kind, data, block_id = "message", [], None
    for line in response:
        line = line.decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            block_id = value
        elif line == "":
            if block_id is not None:
                position = block_id
            if data and kind in ("message", "lost"):
                print(kind, "\n".join(data), flush=True)
            if data == [last]:
                done = True
                return
            kind, data, block_id = "message", [], None


connects = 0
while not done:
    connection = http.client.HTTPConnection(host, int(port))
    headers = {"Accept": "text/event-stream"}
    if position:
        headers["Last-Event-ID"] = position
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status == 200:
            connects += 1
            print("connected", connects, flush=True)
            read(response)
    except (OSError, http.client.HTTPException):
        pass
    connection.close()
