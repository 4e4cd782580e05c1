"""Two users with a ccache of their own share one server: what the first has compiled, the second does not compile again."""
import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

store = {}


class Server(http.server.BaseHTTPRequestHandler):
    """The least that ccache's HTTP storage wants."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        body = store.get(self.path)
        self.answer(404 if body is None else 200, body or b"")

    do_HEAD = do_GET

    def do_PUT(self):
        store[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def log_message(self, *_):
        pass


def compile_as(user, folder, source, url, compiler):
    """Compiles the source in the user's own folder; returns ccache's statistics."""
    home = folder / user
    home.mkdir()
    (home / "a.cpp").write_text(source)
    environment = dict(os.environ, CCACHE_DIR=str(home / "cache"), CCACHE_REMOTE_STORAGE=url, CCACHE_BASEDIR=str(home),
                       CCACHE_NOHASHDIR="1", HOME=str(home))
    for name in ("CCACHE_DISABLE", "CCACHE_CONFIGPATH", "CCACHE_PREFIX"):
        environment.pop(name, None)
    subprocess.run(["ccache", compiler, "-g", f"-ffile-prefix-map={home}=.", "-c", "a.cpp", "-o", "a.o"], cwd=home, env=environment, check=True)
    text = subprocess.run(["ccache", "--print-stats"], env=environment, check=True, capture_output=True, text=True).stdout
    return {key: int(value) for key, value in (line.split("\t") for line in text.splitlines())}, (home / "a.o").read_bytes()


def main(compiler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = "int twice(int x) { return 2 * x; }\n"
        first, first_object = compile_as("first", folder, source, url, compiler)
        second, second_object = compile_as("second", folder, source, url, compiler)
    assert first["remote_storage_hit"] == 0 and first["cache_miss"] == 1, first
    assert second["remote_storage_hit"] == 1 and second["cache_miss"] == 0, second
    assert first_object == second_object, "the objects differ"
    assert store, "nothing was stored on the server"


if __name__ == "__main__":
    main(sys.argv[1])
