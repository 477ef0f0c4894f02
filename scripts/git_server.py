#!/usr/bin/env python3
"""A folder's repositories over HTTPS, by git's own program, for tests.

git_server.py ADDRESS PORT FOLDER
"""

import http.server
import os
import ssl
import subprocess
import sys
import threading


class GitServer(http.server.ThreadingHTTPServer):
    """Serves the repositories of a folder, with its tls.crt and tls.key."""

    def __init__(self, address, folder):
        super().__init__(address, GitHandler)
        self.folder = folder
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that goes away is nothing to tell of."""


class GitHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("content-length") or 0)
        answer = subprocess.run(["git", "http-backend"], input=self.rfile.read(length), capture_output=True, env={
            **os.environ, "GIT_PROJECT_ROOT": self.server.folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "", "REMOTE_ADDR": "",
            "CONTENT_TYPE": self.headers.get("content-type", ""), "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = [value for name, value in headers if name.lower() == "status"]
        self.send_response(int(status[0].split()[0]) if status else 200)
        for name, value in headers:
            if name.lower() != "status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    GitServer((sys.argv[1], int(sys.argv[2])), sys.argv[3])
    threading.Event().wait()
