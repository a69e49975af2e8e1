"""A feed and a CalDAV server with one calendar, on the loopback, for the story under systemd.
usage: servers.py FOLDER
Serves FOLDER/feed.ics as /feed.ics and FOLDER/calendar/ as the calendar /dav/work/, one file for each object, to the user
`u` with the password in FOLDER/password. The port is in FOLDER/port once it listens."""

import base64
import hashlib
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
from xml.sax.saxutils import escape

CALENDAR = "/dav/work/"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def etag(name):
    return '"' + hashlib.sha256(read("calendar/" + name)).hexdigest() + '"'


def response(href, props):
    status = "<d:status>HTTP/1.1 200 OK</d:status>"
    return f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>{props}</d:prop>{status}</d:propstat></d:response>"


def object_response(name, with_data):
    props = f"<d:getetag>{escape(etag(name))}</d:getetag>"
    if with_data:
        props += "<c:calendar-data>" + escape(read("calendar/" + name).decode()) + "</c:calendar-data>"
    return response(CALENDAR + name, props)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def multistatus(self, responses):
        names = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
        body = f"<d:multistatus {names}>{''.join(responses)}</d:multistatus>"
        self.reply(207, body.encode(), Content_Type="application/xml; charset=utf-8")

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path)
        if path == "/feed.ics":
            return self.reply(200, read("feed.ics"), Content_Type="text/calendar; charset=utf-8")
        login = base64.b64encode(b"u:" + read("password").rstrip(b"\n")).decode()
        if self.headers.get("Authorization") != "Basic " + login:
            return self.reply(401, WWW_Authenticate='Basic realm="dav"')
        if not path.startswith(CALENDAR):
            return self.reply(404)
        return self.handle_calendar(path[len(CALENDAR) :], body)

    def handle_calendar(self, name, body):
        file = "calendar/" + name
        exists = os.path.isfile(file)
        if self.command == "OPTIONS":
            return self.reply(200, DAV="1, 3, calendar-access")
        if self.command == "PROPFIND" and not name:
            names = sorted(os.listdir("calendar")) if self.headers.get("Depth") == "1" else []
            itself = response(CALENDAR, "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>")
            return self.multistatus([itself] + [object_response(name, False) for name in names])
        if self.command == "REPORT" and b"calendar-multiget" in body:
            names = [unquote(href).rpartition("/")[2] for href in re.findall(r"href>([^<]+)</", body.decode())]
            return self.multistatus(object_response(name, True) for name in names if os.path.isfile("calendar/" + name))
        if self.command in ("PUT", "DELETE"):
            expected = self.headers.get("If-Match")
            if expected and not (exists and expected == etag(name)) or self.headers.get("If-None-Match") and exists:
                return self.reply(412)
        if self.command == "PUT":
            with open(file, "wb") as out:
                out.write(body)
            return self.reply(204 if exists else 201, ETag=etag(name))
        if not exists:
            return self.reply(404)
        if self.command == "DELETE":
            os.remove(file)
            return self.reply(204)
        if self.command == "GET":
            return self.reply(200, read(file), Content_Type="text/calendar", ETag=etag(name))
        return self.reply(405)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_PROPFIND = do_REPORT = do_OPTIONS = handle_any


os.chdir(sys.argv[1])
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as out:
    out.write(f"{server.server_port}\n")
os.rename("port.new", "port")
server.serve_forever()
