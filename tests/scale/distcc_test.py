"""One helper on loopback compiles what the launcher preset hands to it, and its object is the one that this machine makes."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 30  # seconds


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, helper):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and helper.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise SystemExit("distccd does not listen")


def main(source_dir, compiler):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        port = free_port()
        log = folder / "helper.log"
        log.touch()
        log.chmod(0o666)
        (folder / "distcc").mkdir()
        helper = subprocess.Popen(["distccd", "--no-detach", "--daemon", "--allow", "127.0.0.1", "--listen", "127.0.0.1", "--port", str(port),
                                   "--log-file", str(log), "--verbose", "--enable-tcp-insecure"])
        try:
            wait_for(port, helper)
            (folder / "CMakeLists.txt").write_text(
                "cmake_minimum_required(VERSION 3.25)\nproject(t CXX)\n"
                f"set(AXVISOR_LAUNCHER distcc)\ninclude({source_dir}/cmake/AxvisorLauncher.cmake)\nadd_library(t OBJECT a.cpp)\n")
            (folder / "a.cpp").write_text("int twice(int x) { return 2 * x; }\n")
            environment = dict(os.environ, DISTCC_HOSTS=f"127.0.0.1:{port}", DISTCC_FALLBACK="0", DISTCC_DIR=str(folder / "distcc"),
                               CCACHE_DIR=str(folder / "cache"))
            environment.pop("CCACHE_DISABLE", None)
            for command in (["cmake", "-G", "Ninja", "-S", ".", "-B", "build", f"-DCMAKE_CXX_COMPILER={compiler}"], ["cmake", "--build", "build"]):
                subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
            # The helper writes its summary when it has sent the result.
            end = time.monotonic() + PATIENCE
            while "COMPILE_OK" not in log.read_text():
                assert time.monotonic() < end, log.read_text()
        except subprocess.CalledProcessError as error:
            raise SystemExit(error.stdout + error.stderr + log.read_text())
        finally:
            helper.terminate()
            helper.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
